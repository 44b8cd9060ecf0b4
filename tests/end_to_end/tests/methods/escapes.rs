//! Methods that reach for what they were not given.

use crate::subject::Subject;

on_every_driver! {
    no_name_leads_out_of_the_data_of_the_model,
    no_path_leads_out_of_a_granted_directory,
    other_directories_secrets_and_models_are_refused,
}

fn no_name_leads_out_of_the_data_of_the_model(subject: &mut Subject) {
    subject.model("test-misbehaving", "bad", &[]);
    let long = "x".repeat(4096);
    let reserved = ".run/0000000000-00000000/record";
    for name in ["..", "../escaped", "/etc/passwd", "a\\b", "C:\\x", "a/../../b", ".hidden", reserved, &long] {
        let outcome = subject.show(&["bad", "write-named", "--input", &format!("name={name}")]).ended_with(1);
        assert!(outcome.stderr.len() < 2000, "{outcome}");
    }
    subject.checkout.write("nul.json", "{\"name\": \"a\\u0000b\"}");
    subject.show(&["bad", "write-named", "--input-file", "nul.json"]).ended_with(1);
    assert_eq!(data_of(subject, "bad"), Vec::<String>::new());
}

fn no_path_leads_out_of_a_granted_directory(subject: &mut Subject) {
    subject.model("test-misbehaving", "bad", &[]);
    let long = "x".repeat(4096);
    for path in ["../outside.txt", "/etc/passwd", "link", "inside.txt/../../outside.txt", "a\\..\\..", &long] {
        let place = ["--input", "directory=folder", "--input", &format!("path={path}")];
        subject.show(&[&["bad", "read-path"], &place[..]].concat()).ended_with(1);
    }
    // And what is inside is read, so that the refusals above are not those of everything.
    subject.run(&["bad", "read-path", "--input", "directory=folder", "--input", "path=inside.txt"]).ok();
    assert_eq!(data_of(subject, "bad"), ["escaped"]);
    let escaped = subject.checkout.peat(&["data", "get", "bad", "escaped", "--output", "-"]).ok();
    assert_eq!(escaped.stdout, "inside\n");
}

fn other_directories_secrets_and_models_are_refused(subject: &mut Subject) {
    subject.model("test-misbehaving", "bad", &[]);
    subject.show(&["bad", "open-folder", "--input", "name=other"]).ended_with(1).says(&["granted", "folder"]);
    subject.show(&["bad", "read-secret", "--input", "name=other"]).ended_with(1).says(&["granted", "token"]);
    subject.checkout.shell_model("other", "echo private");
    subject.checkout.peat(&["model", "method", "run", "other", "execute"]).ok();
    subject.show(&["bad", "read-foreign", "--input", "name=other"]).ended_with(1).says(&["reads"]);
    assert_eq!(data_of(subject, "bad"), Vec::<String>::new());
}

/// The names of the newest data of a model.
fn data_of(subject: &Subject, model: &str) -> Vec<String> {
    let data = subject.checkout.peat(&["data", "list", model, "--json"]).ok().json();
    data["data"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect()
}
