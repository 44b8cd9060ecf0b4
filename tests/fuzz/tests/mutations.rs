//! Every target with its seeds, changed by chance: what libFuzzer does for hours, for a moment and everywhere.
//! `PEAT_FUZZ_INPUTS=n` runs more of them, `PEAT_TEST_SEED=n` others.

use peat_fuzz_tests::mutations::{Chance, changed};
use peat_fuzz_tests::{TARGETS, seeds};

/// Inputs a target.
const INPUTS: usize = 2_000;

#[test]
fn no_changed_seed_breaks_a_rule() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("PEAT_TEST_SEED").unwrap_or(1);
    let inputs = number("PEAT_FUZZ_INPUTS").map_or(INPUTS, |inputs| inputs as usize);
    println!("PEAT_TEST_SEED={seed}");
    for target in TARGETS {
        let seeds = seeds::of(target.name);
        let mut chance = Chance::new(seed);
        let mut accepted = 0;
        for _ in 0..inputs {
            let [one, other] = [0, 1].map(|_| &seeds[chance.below(seeds.len())].input);
            let input = changed(one, other, &mut chance);
            let read = std::panic::catch_unwind(|| (target.read)(&input));
            match read {
                Ok(was_accepted) => accepted += usize::from(was_accepted),
                Err(_) => panic!("{} with {:?}", target.name, String::from_utf8_lossy(&input)),
            }
        }
        // Changes that leave nothing valid would test only the first check of every reader.
        println!("{}: {accepted} of {inputs} accepted", target.name);
        assert!(accepted > 0 && accepted < inputs, "{}: {accepted} of {inputs} accepted", target.name);
    }
}
