//! Granted directories and values, and what is refused.

use crate::subject::{SECRET, Subject};

on_every_driver! {
    a_granted_directory_is_read,
    a_granted_directory_is_as_it_is_now,
    a_granted_secret_is_had_and_shown_nowhere,
    every_refusal_has_its_kind_and_words,
}

fn a_granted_directory_is_read(subject: &mut Subject) {
    // More than one page of files, one of them large, one a pipe.
    for number in 0..1100 {
        subject.checkout.write(&format!("folder/many/{number:04}"), b"x");
    }
    subject.checkout.write("folder/large", vec![7; 3 << 20]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        subject.checkout.path().join("folder/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    subject.model("test-thorough", "one", &[]);
    std::fs::remove_file(subject.checkout.path().join("folder/link")).unwrap();
    subject.observe(&["one", "places", "--input", "directory=folder"]).0.ok();
}

fn a_granted_directory_is_as_it_is_now(subject: &mut Subject) {
    subject.model("test-misbehaving", "reader", &[]);
    let read = ["reader", "read-path", "--input", "directory=folder", "--input", "path=inside.txt"];
    subject.observe(&read).0.ok();
    subject.checkout.write("folder/inside.txt", "changed\n");
    subject.observe(&read).0.ok();
    std::fs::remove_file(subject.checkout.path().join("folder/inside.txt")).unwrap();
    subject.observe(&read).0.ended_with(1);
    std::fs::remove_dir_all(subject.checkout.path().join("folder")).unwrap();
    subject.run(&read);
}

fn a_granted_secret_is_had_and_shown_nowhere(subject: &mut Subject) {
    subject.model("test-thorough", "one", &[]);
    let (outcome, _) = subject.observe(&["one", "secret", "--input", "name=token"]);
    assert!(!outcome.stdout.contains(SECRET) && !outcome.stderr.contains(SECRET), "{outcome}");
    outcome.ok();
    subject.observe(&["one", "secret", "--input", "name=other"]).0.ended_with(1);
}

fn every_refusal_has_its_kind_and_words(subject: &mut Subject) {
    subject.model("test-thorough", "one", &[]);
    subject.observe(&["one", "errors", "--input", "directory=folder"]).0.ok();
}
