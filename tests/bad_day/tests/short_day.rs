//! A short bad day, in which everything happens once.

use std::time::Duration;

use peat_bad_day::{Plan, live, plot};

#[test]
fn after_a_short_bad_day_every_acknowledged_write_is_there_once() {
    let report = live(&Plan { length: Duration::from_secs(45) });
    println!("{report}");
    assert!(report.problems.is_empty(), "{:#?}", report.problems);
    assert!(report.is_good(), "what was planned was done");
    assert!(report.acknowledged() >= 50 && report.killed() >= 3, "otherwise nothing was shown");
    assert_eq!(plot(&report).matches("<rect").count(), report.acknowledged() + report.killed() + failed(&report));
}

/// Runs that ended with an error.
fn failed(report: &peat_bad_day::Report) -> usize {
    let json = report.to_json();
    let codes = json["exitCodes"].as_object().expect("a map").iter();
    let failed = codes.filter(|(code, _)| !["0", "killed"].contains(&code.as_str()));
    failed.filter_map(|(_, count)| count.as_u64()).sum::<u64>() as usize
}
