//! Methods that fail, trap, take too much or too long.

use crate::subject::Subject;

on_every_driver! {
    a_failure_is_the_methods_own_and_what_it_wrote_is_kept,
    a_panic_and_a_full_stack_end_the_run_alone,
    a_deadline_ends_who_computes_and_who_sleeps,
    memory_and_handles_end_at_their_limits,
    floods_are_cut_and_said_to_be,
}

fn a_failure_is_the_methods_own_and_what_it_wrote_is_kept(subject: &mut Subject) {
    subject.model("test-misbehaving", "bad", &[]);
    subject.observe(&["bad", "fail"]).0.ended_with(1);
    subject.observe(&["bad", "fail-after-write"]).0.ended_with(1);
    subject.show(&["bad", "fail-after-write"]).ended_with(1).says(&["the second half is missing"]);
    // Kept, and not "latest".
    subject.checkout.peat(&["data", "get", "bad", "half"]).ended_with(3);
    let half = subject.checkout.peat(&["data", "get", "bad", "half", "--version", "2", "--output", "-"]).ok();
    assert_eq!(half.stdout, "the first half");
}

fn a_panic_and_a_full_stack_end_the_run_alone(subject: &mut Subject) {
    subject.model("test-misbehaving", "bad", &[]);
    subject.observe(&["bad", "trap"]).0.ended_with(1);
    subject.show(&["bad", "trap"]).ended_with(1).says(&["@test/misbehaving", "trapped"]);
    // Where a compiler puts the stack decides which of the two it meets first.
    let overflow = subject.run(&["bad", "overflow-stack"]).ended_with(1).says(&["@test/misbehaving"]);
    assert!(["out of bounds", "bytes of stack"].iter().any(|words| overflow.stderr.contains(words)), "{overflow}");
}

fn a_deadline_ends_who_computes_and_who_sleeps(subject: &mut Subject) {
    subject.model("test-misbehaving", "bad", &[]);
    for method in ["spin", "sleep-for-ever"] {
        let outcome = subject.observe(&["bad", method, "--timeout", "1s"]).0;
        assert!(outcome.stdout.contains("1000 ms"), "{outcome}");
        outcome.ended_with(1);
    }
    // Whoever waits for nothing that could ever come needs no deadline.
    subject.observe(&["bad", "wait-for-nothing"]).0.ended_with(1);
}

fn memory_and_handles_end_at_their_limits(subject: &mut Subject) {
    subject.model("test-misbehaving", "bad", &[]);
    subject.observe(&["bad", "allocate"]).0.ended_with(1);
    subject.observe(&["bad", "hoard-blobs"]).0.ended_with(1);
}

fn floods_are_cut_and_said_to_be(subject: &mut Subject) {
    subject.model("test-misbehaving", "bad", &[]);
    let flood = subject.observe(&["bad", "flood-log"]).0.ok();
    let id = flood.json()["run"]["id"].as_str().unwrap().to_owned();
    let log = subject.checkout.peat(&["run", "logs", &id]).ok();
    assert!(log.bytes.len() < 8 * 1024 * 1024, "{} bytes of log", log.bytes.len());
    subject.run(&["bad", "flood-progress"]).ok();
    let flood = subject.observe(&["bad", "flood-summary"]).0.ok();
    assert!(flood.stdout.len() < 8 * 1024, "{} bytes of summary", flood.stdout.len());
}
