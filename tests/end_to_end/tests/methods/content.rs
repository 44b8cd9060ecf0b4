//! Contents as handles, large ones and many calls at once.

use crate::subject::Subject;

on_every_driver! {
    contents_are_made_sliced_read_and_hashed,
    a_large_content_arrives_whole,
    many_calls_are_under_way_at_once,
}

fn contents_are_made_sliced_read_and_hashed(subject: &mut Subject) {
    subject.model("test-thorough", "one", &[]);
    subject.observe(&["one", "pack"]).0.ok();
}

fn a_large_content_arrives_whole(subject: &mut Subject) {
    subject.model("test-thorough", "one", &[]);
    let (outcome, peak_mib) = subject.observe(&["one", "large", "--input", "mib=192"]);
    outcome.ok();
    // It is not in the host's memory, whoever wrote it.
    assert!(peak_mib < 128, "the host had {peak_mib} MiB");
}

fn many_calls_are_under_way_at_once(subject: &mut Subject) {
    subject.model("test-thorough", "one", &[]);
    subject.observe(&["one", "concurrent", "--input", "calls=2000"]).0.ok();
}
