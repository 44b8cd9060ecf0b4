//! What is around a method: invocation, time, randomness, log, progress.

use crate::subject::Subject;

on_every_driver! {
    a_method_sees_its_invocation_and_nothing_else,
    a_log_holds_every_line_and_drives_no_terminal,
    progress_reaches_the_host,
    a_standard_library_prints_into_the_log,
}

fn a_method_sees_its_invocation_and_nothing_else(subject: &mut Subject) {
    subject.model("test-thorough", "one", &["--argument", "colour=brown", "--argument", "ümlaut=ä"]);
    subject.observe(&["one", "look", "--input", "depth=three"]).0.ok();
}

fn a_log_holds_every_line_and_drives_no_terminal(subject: &mut Subject) {
    subject.model("test-thorough", "one", &[]);
    subject.observe(&["one", "say"]).0.ok();
    let outcome = subject.show(&["one", "say"]).ok();
    assert!(!outcome.stdout.contains('\u{1b}') && !outcome.stderr.contains('\u{1b}'), "{outcome}");
}

fn progress_reaches_the_host(subject: &mut Subject) {
    subject.model("test-thorough", "one", &[]);
    subject.observe(&["one", "progress", "--input", "steps=1000"]).0.ok();
    // Shown on terminals alone; the trace has it, too. How much of it depends on the time it took, but for the last of
    // each piece of work.
    let mut command = subject.command(&["one", "progress", "--input", "steps=1000"]);
    let traced = command.env("PEAT_LOG", "debug").output().unwrap();
    let trace = String::from_utf8(traced.stderr).unwrap();
    for last in [["counting", "done=1000"], ["measuring", "done=1024"]] {
        let has_both = |line: &str| last.iter().all(|word| line.contains(word));
        assert!(trace.lines().any(has_both), "{last:?} is missing in:\n{trace}");
    }
}

fn a_standard_library_prints_into_the_log(subject: &mut Subject) {
    let guest = peat_test_guests::standard_library_model();
    subject.made_model(&guest, "@test/standard-library", "printer", &[]);
    subject.observe(&["printer", "print"]).0.ok();
}
