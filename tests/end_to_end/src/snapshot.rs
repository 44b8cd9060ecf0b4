//! Snapshots that hold exit code, stdout and stderr together, with everything that differs from run to run replaced.

use std::path::Path;

use crate::Outcome;

/// A path that differs from run to run, and the word that stands for it.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The path.
    pub path: &'a Path,
    /// Its word, such as `[SCRATCH]`.
    pub word: &'a str,
}

/// What differs from run to run, in order: longer forms first.
const VARYING: &[(&str, &str)] = &[
    (r"\b[0-9a-f]{64}\b", "[DIGEST]"),
    (r"\b[0-9a-f]{32}\b", "[NONCE]"),
    (r"\b[0-9a-z]{12}-[0-9a-f]{12}\b", "[RUN]"),
    (r"\b[0-9a-z]{16}\b", "[ID]"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
    // A column is as wide as what differs in it.
    (r" *\b\d+(\.\d+)? ?(ms|s|min|h)\b", " [DURATION]"),
    (r" +(TOOK|SIZE)\b", " $1"),
    (r#""(\w+Ms)": \d+"#, r#""$1": "[MS]""#),
    // Components change with their compiler.
    (r" *\b\d+(\.\d+)? [KM]iB\b", " [SIZE]"),
    (r#""size": \d{5,}"#, r#""size": "[BYTES]""#),
    (r"\bpid \d+", "pid [PID]"),
];

/// Compares with `tests/snapshots/{test}__{name}.snap`; `cargo insta` or `INSTA_UPDATE=always` accepts what is new.
#[track_caller]
pub fn assert_outcome(name: &str, outcome: &Outcome, places: &[Place<'_>]) {
    let mut text = outcome.to_string();
    for place in places {
        text = text.replace(&*place.path.to_string_lossy(), place.word);
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots"));
    settings.set_omit_expression(true);
    for (pattern, word) in VARYING {
        settings.add_filter(pattern, *word);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}
