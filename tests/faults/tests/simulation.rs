//! Schedules of many hosts on one faulty store, each decided by its seed (docs/simulation.md). A failing one is repeated by
//! the line it prints; `cargo xtask simulate` runs as many as you like.

use peat_fault_tests::simulation::{Options, Rule, WriteCost, run, warm_write};

/// Schedules of one part. All parts together are about a minute of two cores.
const SCHEDULES: u64 = 300;

/// Schedules with the real SQLite store: every transaction waits for a disk.
const SQLITE_SCHEDULES: u64 = 60;

fn run_all(seeds: std::ops::Range<u64>, options: Options) {
    for seed in seeds {
        if let Err(failure) = run(seed, options) {
            let traced = run(seed, Options { trace: true, ..options }).expect_err("a seed repeats its schedule");
            panic!("{}\n{failure}", traced.trace.join("\n"));
        }
    }
}

/// `PEAT_SIMULATION_SEED=N` repeats one schedule; with `PEAT_SIMULATION_SQLITE=1` on the real SQLite store.
#[test]
fn the_schedule_of_a_seed_is_always_the_same_and_keeps_every_rule() {
    let seed = std::env::var("PEAT_SIMULATION_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let options = Options { sqlite: std::env::var_os("PEAT_SIMULATION_SQLITE").is_some(), ..Options::default() };
    run_all(seed..seed + 1, options);
    let again = || run(seed, options).unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(again(), again());
}

macro_rules! parts {
    ($($name:ident: $part:literal)+) => {
        $(
            #[test]
            fn $name() {
                run_all($part * SCHEDULES..($part + 1) * SCHEDULES, Options::default());
            }
        )+
    };
}

parts! {
    nothing_acknowledged_is_lost_and_everybody_gets_through_first_part: 0
    nothing_acknowledged_is_lost_and_everybody_gets_through_second_part: 1
    nothing_acknowledged_is_lost_and_everybody_gets_through_third_part: 2
    nothing_acknowledged_is_lost_and_everybody_gets_through_fourth_part: 3
    nothing_acknowledged_is_lost_and_everybody_gets_through_fifth_part: 4
    nothing_acknowledged_is_lost_and_everybody_gets_through_sixth_part: 5
    nothing_acknowledged_is_lost_and_everybody_gets_through_seventh_part: 6
    nothing_acknowledged_is_lost_and_everybody_gets_through_eighth_part: 7
}

#[test]
fn the_same_holds_with_the_real_local_store() {
    run_all(0..SQLITE_SCHEDULES, Options { sqlite: true, ..Options::default() });
}

#[test]
fn a_locked_write_on_a_warm_machine_is_three_requests_two_of_them_one_after_the_other() {
    assert_eq!(warm_write(), WriteCost { requests: 3, round_trips: 2 });
}

/// The first schedule that shows that a rule is missing.
#[track_caller]
fn is_missed(rule: Rule, violation: &str) {
    let options = Options { without: Some(rule), ..Options::default() };
    let found =
        (0..SCHEDULES).filter_map(|seed| run(seed, options).err()).find(|found| found.violation.contains(violation));
    let found = found.unwrap_or_else(|| panic!("without {rule:?} everything is as it was"));
    println!("without {rule:?}: {found}");
}

#[test]
fn without_the_marks_in_the_heads_somebody_commits_under_the_structural_lock() {
    is_missed(Rule::Marks, "held the structural lock");
}

#[test]
fn without_conditions_somebody_writes_over_a_lease() {
    is_missed(Rule::Conditions, "without a new epoch");
}
