//! The seeds are real: what the protocol and the tools write, and what people write. `PEAT_UPDATE_SEEDS=1` writes those
//! that are made here anew; the others are kept by hand.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

mod made;

use peat_fuzz_tests::{TARGETS, seeds};

/// Set to write the seeds that are made.
const UPDATE: &str = "PEAT_UPDATE_SEEDS";

#[test]
fn every_target_has_seeds_and_accepts_the_valid_ones() {
    if std::env::var_os(UPDATE).is_some() {
        for (target, name, input) in made::all() {
            std::fs::create_dir_all(seeds::directory(target)).unwrap();
            std::fs::write(seeds::directory(target).join(name), input).unwrap();
        }
    }
    for target in TARGETS {
        let seeds = seeds::of(target.name);
        assert!(seeds.iter().any(|seed| seed.is_valid()), "{} has no valid seed", target.name);
        for seed in seeds {
            assert_eq!((target.read)(&seed.input), seed.is_valid(), "{}/{}", target.name, seed.name);
        }
    }
}

#[test]
fn no_seed_is_of_an_unknown_target() {
    for entry in std::fs::read_dir(seeds::directory("")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = TARGETS.iter().any(|target| target.name == name);
        assert!(known || !cfg!(feature = "components"), "{name} is no target");
    }
}

#[test]
fn what_the_protocol_writes_today_is_accepted() {
    for (target, name, input) in made::all() {
        let Some(target) = TARGETS.iter().find(|known| known.name == target) else { continue };
        assert_eq!((target.read)(&input), !name.starts_with("refused"), "{}/{name}", target.name);
    }
}
