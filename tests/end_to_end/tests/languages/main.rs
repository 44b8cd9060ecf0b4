//! `@examples/text` is there in Rust, in C and in Python: the contract is of no language. The same input gives the same
//! bytes, the same words and the same failures.
//!
//! The tests that need the components in C and in Python are ignored unless `cargo xtask test` could have them built; by
//! hand: `cargo xtask guests --language c --language python`, then `cargo nextest run --workspace --test languages
//! --run-ignored all`.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

mod texts;
mod unicode_tables;

use peat_end_to_end_tests::{Checkout, Outcome, Scratch};
use serde_json::Value;

use texts::{Text, broken_texts, texts};

/// Name of the crate in Rust; the others are called after it.
const RUST: &str = "example-text";

#[test]
#[ignore = "needs `cargo xtask guests --language c`"]
fn the_model_in_c_is_the_model_in_rust() {
    is_the_model_in_rust("c");
}

#[test]
#[ignore = "needs `cargo xtask guests --language python`"]
fn the_model_in_python_is_the_model_in_rust() {
    is_the_model_in_rust("python");
}

fn is_the_model_in_rust(language: &str) {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    let other = format!("{RUST}-{language}");
    std::fs::create_dir(repository.path().join("source")).unwrap();
    for (model, crate_name) in [("rust", RUST), ("other", other.as_str())] {
        repository.install(crate_name, &["--grant", "files:source=source"]);
        let type_name = crate_name.replacen("example-", "@examples/", 1);
        repository.peat(&["model", "create", model, "--type", &type_name]).ok();
    }
    assert_eq!(types_of(&repository, RUST), types_of(&repository, &other));
    for Text { name, content, arguments } in texts() {
        repository.write(&format!("source/{name}"), &content);
        let [rust, other] = ["rust", "other"].map(|model| {
            let ran = profile(&repository, model, &name, arguments).ok();
            let data = repository.peat(&["data", "get", model, "profile", "--output", "-"]).ok();
            (said(&ran), data.bytes)
        });
        assert!(rust.1 == other.1, "{name} {arguments:?}:\n{}", difference(&rust.1, &other.1));
        assert_eq!(rust.0, other.0, "{name} {arguments:?}");
    }
    for Text { name, content, arguments } in broken_texts() {
        if !content.is_empty() {
            repository.write(&format!("source/{name}"), &content);
        }
        let [rust, other] = ["rust", "other"].map(|model| {
            let ran = profile(&repository, model, &name, arguments);
            assert_ne!(ran.code, Some(0), "{ran}");
            (ran.code, said(&ran))
        });
        assert_eq!(rust, other, "{name} {arguments:?}");
    }
}

fn profile(repository: &Checkout, model: &str, path: &str, arguments: &[&str]) -> Outcome {
    let path = format!("path={path}");
    let mut words = vec!["model", "method", "run", model, "profile", "--input", &path];
    words.extend(arguments.iter().flat_map(|argument| ["--input", argument]));
    repository.peat(&words)
}

/// What the model had to say in the end: what comes behind its name and the time it took.
fn said(outcome: &Outcome) -> String {
    let told = if outcome.code == Some(0) { &outcome.stdout } else { &outcome.stderr };
    let said =
        told.lines().next().and_then(|line| Some(line.split_once(" profile ")?.1.split_once(": ")?.1.to_owned()));
    said.unwrap_or_else(|| panic!("{outcome}"))
}

/// What an extension says of its types, without its own name.
fn types_of(repository: &Checkout, crate_name: &str) -> Value {
    let file = format!("extensions/{crate_name}.wasm");
    let inspected = repository.peat(&["extension", "inspect", &file, "--json"]).ok().json();
    let mut types = inspected["extension"]["types"].clone();
    types[0]["name"].take();
    serde_json::json!([types, inspected["extension"]["wants"]])
}

/// The first line that is not the same.
fn difference(left: &[u8], right: &[u8]) -> String {
    let (left, right) = (String::from_utf8_lossy(left), String::from_utf8_lossy(right));
    let differs = left.lines().zip(right.lines()).enumerate().find(|(_, (left, right))| left != right);
    match differs {
        Some((at, (left, right))) => format!("line {}:\n{left}\n{right}", at + 1),
        None => format!("{} lines and {} lines", left.lines().count(), right.lines().count()),
    }
}
