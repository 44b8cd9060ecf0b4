//! Files that are no extension, or one that does not keep the contract: refused when they are added, with the file, the
//! defect and the remedy, and nothing is installed.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::fs;

use peat_end_to_end_tests::{Checkout, Scratch, component};
use peat_test_guests as guests;

/// One byte more than a component may have.
const TOO_MANY_BYTES: u64 = 64 * 1024 * 1024 + 1;

/// Adds `bytes` as a file and expects a refusal that says `words`; nothing is left behind.
#[track_caller]
fn refused(repository: &Checkout, name: &str, bytes: &[u8], code: i32, words: &[&str]) {
    let file = format!("{name}.wasm");
    repository.write(&file, bytes);
    let before = repository.read("peat.yaml");
    let outcome = repository.peat(&["extension", "add", &file]).ended_with(code).says(words);
    assert!(outcome.stderr.contains(&file), "{outcome}");
    assert!(outcome.stderr.len() < 4000, "{outcome}");
    assert!(!repository.path().join("peat.lock").exists(), "{outcome}");
    assert_eq!(repository.read("peat.yaml"), before);
    let json = repository.peat(&["extension", "add", &file, "--json"]).ended_with(code);
    assert_eq!(json.json()["error"]["exitCode"], code, "{json}");
    let listed = repository.peat(&["extension", "list", "--json"]).ok().json();
    assert_eq!(listed["extensions"], serde_json::json!([]), "{listed:#}");
}

#[test]
fn files_that_are_no_component_are_refused() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    let whole = fs::read(component("test-empty")).unwrap();
    let core = b"\0asm\x01\0\0\0";
    refused(&repository, "empty", b"", 2, &[]);
    refused(&repository, "text", b"#!/bin/sh\necho hello\n", 2, &["not a WebAssembly"]);
    refused(&repository, "elf", b"\x7fELF\x02\x01\x01\0\0\0\0\0", 2, &["not a WebAssembly"]);
    refused(&repository, "core", core, 2, &["component"]);
    for part in [4, 9, 100, whole.len() / 2, whole.len() - 1] {
        refused(&repository, &format!("truncated-{part}"), &whole[..part], 2, &[]);
    }
    let mut flipped = whole.clone();
    let middle = flipped.len() / 3;
    flipped[middle..middle + 64].fill(0xff);
    refused(&repository, "damaged", &flipped, 2, &[]);
}

#[test]
fn an_oversized_file_is_refused_without_being_read() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    fs::File::create(repository.path().join("huge.wasm")).unwrap().set_len(TOO_MANY_BYTES).unwrap();
    repository.peat(&["extension", "add", "huge.wasm"]).ended_with(2).says(&["huge.wasm", "67108864"]);
    fs::File::create(repository.path().join("vast.wasm")).unwrap().set_len(1 << 40).unwrap();
    repository.peat(&["extension", "add", "vast.wasm"]).ended_with(2).says(&["vast.wasm", "67108864"]);
    repository.peat(&["extension", "add", "."]).ended_with(2);
    repository.peat(&["extension", "add", "/dev/zero"]).ended_with(2);
}

#[test]
fn a_component_that_does_not_keep_the_contract_is_refused_by_name() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    let cases: [(&str, Vec<u8>, &[&str]); 12] = [
        ("exports-nothing", guests::model_without_methods(), &["does not export", "peat:model/methods"]),
        ("wrong-type", guests::model_of_another_type(), &["contract"]),
        ("no-sync", guests::datastore_without_sync(), &["does not export", "peat:datastore/sync"]),
        ("claims-locks", guests::datastore_claiming_locks(), &["locks", "does not export"]),
        ("no-metadata", guests::model_without_metadata(), &["metadata", "peat-extension"]),
        ("two-metadata", guests::model_with_two_metadata_sections(), &["metadata", "more than once"]),
        ("half-metadata", guests::metadata_that_is_no_json(), &["metadata does not parse"]),
        ("future-metadata", guests::metadata_of_another_format(), &["format 2"]),
        ("unknown-key", guests::metadata_with_an_unknown_key(), &["colour"]),
        ("method-twice", guests::metadata_naming_a_method_twice(), &["twice"]),
        ("large-metadata", guests::metadata_too_large(), &["metadata", "262144"]),
        ("empty-component", guests::empty_component(), &["metadata"]),
    ];
    for (name, bytes, words) in cases {
        refused(&repository, name, &bytes, 2, words);
    }
    refused(&repository, "not-wasm", &guests::not_wasm(), 2, &["WebAssembly"]);
    refused(&repository, "core-module", &guests::core_module(), 2, &["component"]);
    refused(&repository, "half", &guests::truncated(), 2, &[]);
    // And what is sound is taken, so that the refusals above are not those of everything.
    for (name, bytes) in [("model", guests::sound_model()), ("store", guests::sound_datastore())] {
        repository.write(&format!("{name}.wasm"), bytes);
        repository.peat(&["extension", "add", &format!("{name}.wasm")]).ok();
    }
}

#[test]
fn a_small_file_that_pretends_to_be_huge_is_refused_before_it_is_compiled() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    let cases: [(&str, Vec<u8>, &[&str]); 5] = [
        ("nested", guests::component_of_nested_components(), &["nested deeper"]),
        ("multiplied", guests::component_that_multiplies(), &["instances"]),
        ("nested-types", guests::model_with_nested_types(), &["nesting"]),
        ("many-imports", guests::model_with_many_imports(), &["more than 1000 imports"]),
        ("nested-metadata", guests::metadata_nested_deep(), &["recursion limit"]),
    ];
    for (name, bytes, words) in cases {
        assert!(bytes.len() < 512 * 1024, "{name} has {} bytes", bytes.len());
        refused(&repository, name, &bytes, 2, words);
    }
}

#[test]
fn an_extension_that_does_its_worst_when_it_is_instantiated_is_refused() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    for guest in guests::HOSTILE.iter().filter(|guest| guest.is_refused_when_added()) {
        let words = match guest.ends {
            guests::Ends::Limit(limit) => limit,
            _ => "did not finish instantiation within 30000 ms",
        };
        refused(&repository, guest.name, &guest.extension(), 6, &[words]);
    }
}

#[test]
fn an_import_that_nobody_granted_is_refused_by_name() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    for import in
        ["peat:host/secrets@0.1.0", "peat:host/files@0.1.0", "wasi:sockets/tcp@0.2.6", "acme:cloud/upload@1.0.0"]
    {
        refused(&repository, "importing", &guests::model_importing(import), 7, &[import]);
    }
}

#[test]
fn a_grant_that_was_taken_back_is_missed_before_the_run() {
    let scratch = Scratch::new();
    let repository = scratch.machine().repository("r");
    let before = repository.read("peat.yaml");
    repository.install("example-text", &["--grant", "files:source=."]);
    repository.peat(&["model", "create", "words", "--type", "@examples/text"]).ok();
    let run = ["model", "method", "run", "words", "profile", "--input", "path=peat.yaml"];
    repository.peat(&run).ok();
    repository.write("peat.yaml", before);
    repository.peat(&run).ended_with(7).says(&["@examples/text wants files", "--grant files:NAME=DIR"]);
    let runs = repository.peat(&["run", "list", "--json"]).ok().json();
    assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{runs:#}");
}

#[test]
fn an_extension_is_known_by_its_bytes() {
    let scratch = Scratch::new();
    let machine = scratch.cold_machine();
    let repository = machine.repository("r");
    repository.install("test-empty", &[]);
    repository.peat(&["model", "create", "m", "--type", "@test/empty"]).ok();
    repository.peat(&["model", "method", "run", "m", "nothing"]).ok();
    // Somebody changes the installed file: what was locked is not what is there.
    let installed: Vec<_> = fs::read_dir(machine.home().join("extensions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|ending| ending == "wasm"))
        .collect();
    let mut bytes = fs::read(&installed[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&installed[0]).unwrap();
    fs::write(&installed[0], bytes).unwrap();
    fs::remove_dir_all(repository.path().join("extensions")).unwrap();
    // Its compiled code is forgotten, too, so that the component has to be read.
    fs::remove_dir_all(machine.cache()).unwrap();
    let outcome = repository.peat(&["model", "method", "run", "m", "nothing"]);
    assert!(matches!(outcome.code, Some(2 | 3 | 8)), "{outcome}");
    outcome.says(&["@test/empty"]);
}

#[test]
fn damaged_compiled_code_is_made_again_and_never_run() {
    let scratch = Scratch::new();
    let machine = scratch.cold_machine();
    let repository = machine.repository("r");
    repository.install("test-empty", &[]);
    repository.peat(&["model", "create", "m", "--type", "@test/empty"]).ok();
    let run = ["model", "method", "run", "m", "nothing"];
    repository.peat(&run).ok();
    let mut open = vec![machine.cache().to_owned()];
    let mut damaged = 0;
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else if entry.metadata().unwrap().len() > 0 {
                let mut bytes = fs::read(entry.path()).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0xff;
                fs::remove_file(entry.path()).unwrap();
                fs::write(entry.path(), bytes).unwrap();
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0, "nothing was compiled");
    repository.peat(&run).ok();
    fs::remove_dir_all(machine.cache()).unwrap();
    repository.peat(&run).ok();
}
