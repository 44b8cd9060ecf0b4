//! Data that methods write and read.

use crate::subject::Subject;

on_every_driver! {
    what_a_run_writes_is_there_with_all_its_attributes,
    older_versions_and_other_models_are_read,
    more_items_than_a_page_are_written_and_listed,
    arguments_come_back_as_they_were_given,
    arguments_that_break_the_schema_never_reach_the_guest,
}

fn what_a_run_writes_is_there_with_all_its_attributes(subject: &mut Subject) {
    subject.model("test-thorough", "one", &[]);
    subject.observe(&["one", "write"]).0.ok();
    subject.show(&["one", "write", "--input", "text=the second version"]).ok();
}

fn older_versions_and_other_models_are_read(subject: &mut Subject) {
    subject.model("test-thorough", "other", &[]);
    subject.create("one", "@test/thorough", &["--reads", "other"]);
    for model in ["one", "other"] {
        subject.run(&[model, "write", "--input", &format!("text=first of {model}")]).ok();
        subject.run(&[model, "write", "--input", &format!("text=second of {model}")]).ok();
    }
    subject.observe(&["one", "read", "--input", "model=other"]).0.ok();
    // What a model may read is said by its definition, not by the guest.
    subject.observe(&["other", "read", "--input", "model=one"]).0.ended_with(1);
}

fn more_items_than_a_page_are_written_and_listed(subject: &mut Subject) {
    subject.model("test-thorough", "one", &[]);
    subject.run(&["one", "list"]).ok();
    subject.observe(&["one", "list", "--input", "listing=true"]).0.ok();
}

fn arguments_come_back_as_they_were_given(subject: &mut Subject) {
    subject.model("test-empty", "echo", &[]);
    subject.checkout.write("plain.json", r#"{"text": "ä\u0000\u001b", "list": [1, -2.5e300, null, {"": false}]}"#);
    subject.observe(&["echo", "echo", "--input-file", "plain.json"]).0.ok();
    // As deep as a document may be, and deeper.
    let nested = |depth: usize| format!("{{\"deep\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    subject.checkout.write("deep.json", nested(60));
    subject.observe(&["echo", "echo", "--input-file", "deep.json"]).0.ok();
    subject.checkout.write("deeper.json", nested(100_000));
    subject.observe(&["echo", "echo", "--input-file", "deeper.json"]).0.ended_with(2);
    // Half a mebibyte.
    subject.checkout.write("long.json", format!("{{\"text\": \"{}\"}}", "0123456789abcdef".repeat(32 * 1024)));
    subject.run(&["echo", "echo", "--input-file", "long.json"]).ok();
    let echoed = subject.checkout.peat(&["data", "get", "echo", "echo", "--output", "-"]).ok().json();
    assert_eq!(echoed["text"].as_str().unwrap().len(), 512 * 1024);
}

fn arguments_that_break_the_schema_never_reach_the_guest(subject: &mut Subject) {
    subject.model("test-misbehaving", "bad", &[]);
    for inputs in [&["--input", "count=0"][..], &["--input", "count=x"], &["--input", "number=1"], &[]] {
        subject.show(&[&["bad", "strict"], inputs].concat()).ended_with(2).says(&["count"]);
    }
    subject.observe(&["bad", "strict", "--input", "count=3"]).0.ok();
}
