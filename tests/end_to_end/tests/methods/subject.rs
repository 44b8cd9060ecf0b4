//! A repository whose methods run on one driver, and the transcript of what could be seen of them.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use peat_end_to_end_tests::{Checkout, Outcome, Scratch};
use serde_json::Value;

use crate::watched;

/// Contents up to this many bytes are part of the transcript; of larger ones their digest is.
const SHOWN_BYTES: u64 = 4000;

/// Lines of a log that are shown at its beginning and at its end.
const SHOWN_LINES: usize = 12;

/// Items of a run whose contents are looked at.
const SHOWN_ITEMS: usize = 8;

/// The granted secret.
pub(crate) const SECRET: &str = "a-secret-value";

/// What is granted to guests that want it.
const GRANTS: [&str; 4] = ["--grant", "files:folder=folder", "--grant", "secrets:token=PEAT_TEST_TOKEN"];

/// What differs from run to run and from driver to driver, in order. Digests stay: the same bytes have the same.
const VARYING: &[(&str, &str)] = &[
    (r"\b[0-9a-z]{12}-[0-9a-f]{12}\b", "[RUN]"),
    (r"\b[0-9a-z]{16}\b", "[ID]"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
    (r" in \d+(\.\d+)? ?(ms|s|min)\b", " in [DURATION]"),
    (r#""(duration|waited)Ms": \d+"#, r#""${1}Ms": "[MS]""#),
    (r#" *"driver": "[a-z-]+",\n"#, ""),
];

/// A repository on a machine of its own.
pub(crate) struct Subject {
    pub(crate) checkout: Checkout,
    driver: &'static str,
    transcript: String,
    scratch: Scratch,
}

impl Subject {
    pub(crate) fn new(driver: &'static str) -> Self {
        let scratch = Scratch::new();
        let checkout = scratch.machine().repository("r");
        checkout.write("folder/inside.txt", "inside\n");
        checkout.write("folder/deeper/more.txt", "more\n");
        checkout.write("outside.txt", "outside\n");
        std::os::unix::fs::symlink("../outside.txt", checkout.path().join("folder/link")).unwrap();
        Self { checkout, driver, transcript: String::new(), scratch }
    }

    /// A model `name` of a built guest, with everything granted that it may want.
    pub(crate) fn model(&self, guest: &str, name: &str, more: &[&str]) {
        let wanting = ["test-thorough", "test-misbehaving"].contains(&guest);
        let grants: &[&str] = if wanting { &GRANTS } else { &[] };
        self.checkout.install(guest, grants);
        self.create(name, &guest.replacen("test-", "@test/", 1), more);
    }

    /// A model `name` of an extension made in memory.
    pub(crate) fn made_model(&self, extension: &[u8], model_type: &str, name: &str, more: &[&str]) {
        let file = format!("extensions/{name}.wasm");
        self.checkout.write(&file, extension);
        self.checkout.peat(&[&["extension", "add", &file][..], more].concat()).ok();
        self.create(name, model_type, &[]);
    }

    pub(crate) fn create(&self, name: &str, model_type: &str, more: &[&str]) {
        self.checkout.peat(&[&["model", "create", name, "--type", model_type][..], more].concat()).ok();
    }

    /// `peat model method run` with these words, on the driver.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        // In-process is what runs where nothing else is said: no option names it.
        let driver = ["--driver", self.driver];
        let driver = if self.driver == "in-process" { &[][..] } else { &driver };
        let mut command = self.checkout.command(&[&["model", "method", "run"], words, driver].concat());
        command.env("PEAT_TEST_TOKEN", SECRET);
        command
    }

    /// Runs a method; the transcript does not show it.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Outcome {
        self.watch(words).0
    }

    /// The same, with the peak of the host's resident memory in MiB.
    #[track_caller]
    pub(crate) fn watch(&self, words: &[&str]) -> (Outcome, u64) {
        let (outcome, peak_mib) = watched::run(self.command(words), format!("model method run {}", words.join(" ")));
        assert!(!outcome.stderr.contains("panicked"), "{}: {outcome}", self.driver);
        (outcome, peak_mib)
    }

    /// Runs a method and puts what a person sees into the transcript.
    #[track_caller]
    pub(crate) fn show(&mut self, words: &[&str]) -> Outcome {
        let outcome = self.run(words);
        self.tell(&outcome);
        outcome
    }

    /// Runs a method with `--json`, and puts the document, the contents it names and the log into the transcript. Answers
    /// the peak of the host's memory, too.
    #[track_caller]
    pub(crate) fn observe(&mut self, words: &[&str]) -> (Outcome, u64) {
        let (outcome, peak_mib) = self.watch(&[words, &["--json"]].concat());
        self.tell(&outcome);
        let document = outcome.json();
        for item in document["data"].as_array().into_iter().flatten().take(SHOWN_ITEMS) {
            self.tell_content(item);
        }
        if let Some(id) = document["run"]["id"].as_str() {
            let log = self.checkout.peat(&["run", "logs", id]).ok().stdout;
            self.tell_lines("log", &log);
        }
        (outcome, peak_mib)
    }

    fn tell(&mut self, outcome: &Outcome) {
        let _ = write!(self.transcript, "{outcome}");
    }

    fn tell_content(&mut self, item: &Value) {
        if item["size"].as_u64().unwrap() > SHOWN_BYTES {
            return;
        }
        let (model, name) = (item["model"].as_str().unwrap(), item["name"].as_str().unwrap());
        let version = item["version"].to_string();
        let got = self.checkout.peat(&["data", "get", model, name, "--version", &version, "--output", "-"]).ok();
        self.tell_lines(
            &format!("{name} version {version}"),
            &got.bytes.escape_ascii().to_string().replace("\\n", "\n"),
        );
    }

    fn tell_lines(&mut self, title: &str, text: &str) {
        let lines: Vec<&str> = text.lines().collect();
        let _ = writeln!(self.transcript, "── {title}");
        for (number, line) in lines.iter().enumerate() {
            if number < SHOWN_LINES || number + SHOWN_LINES >= lines.len() {
                let cut = line.floor_char_boundary(300);
                let more = if cut < line.len() { format!("… {} bytes", line.len()) } else { String::new() };
                let _ = writeln!(self.transcript, "{}{more}", &line[..cut]);
            } else if number == SHOWN_LINES {
                let _ = writeln!(self.transcript, "… {} lines, {} bytes in all", lines.len(), text.len());
            }
        }
    }

    /// Compares the transcript with the snapshot `name`, if there is any.
    pub(crate) fn compare(self, name: &str) {
        if self.transcript.is_empty() {
            return;
        }
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/methods/snapshots"));
        settings.set_omit_expression(true);
        for (pattern, word) in VARYING {
            settings.add_filter(pattern, *word);
        }
        let text = self.transcript.replace(&*self.scratch.path().to_string_lossy(), "[SCRATCH]");
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}
