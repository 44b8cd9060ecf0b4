//! The rules of ARCHITECTURE.md that a machine can check: who depends on whom, who names wasmtime, how long files are and
//! what lies at the top of the project.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Longest source file, in lines. Beyond it, a file holds more than one concept.
const FILE_LINES_MAX: usize = 600;

/// Which members of the workspace each member may depend on. `tests/` may use everything.
const ALLOWED: &[(&str, &[&str])] = &[
    ("host/core", &[]),
    ("host/wasm", &["host/core"]),
    ("host/store", &["host/core"]),
    ("host/cli", &["host/core", "host/wasm", "host/store"]),
    ("host/runner", &["host/wasm"]),
    ("extensions/sdk", &[]),
    ("extensions/chain", &["extensions/sdk"]),
    ("extensions/directory", &["extensions/sdk", "extensions/chain"]),
    ("extensions/s3", &["extensions/sdk", "extensions/chain"]),
    ("examples/extensions/lockfile", &["extensions/sdk"]),
    ("examples/extensions/text", &["extensions/sdk"]),
    ("xtask", &[]),
];

/// What the tests of the host's crates may use besides: these depend on the domain at most.
const FOR_TESTS: [&str; 2] = ["tests/support", "tests/guests"];

/// What may lie at the top, besides dot-files and the build directory.
const TOP_LEVEL: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "docs",
    "examples",
    "extensions",
    "host",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "target",
    "tests",
    "wit",
    "xtask",
];

#[test]
fn dependencies_point_one_way() {
    let mut wrong = Vec::new();
    for (member, dependencies) in members() {
        wrong.extend(
            dependencies.iter().filter(|dependency| !allowed(&member, dependency)).map(|to| format!("{member} → {to}")),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_rule_of_dependencies_can_be_broken() {
    assert!(!allowed("host/core", "host/store"));
    assert!(!allowed("host/wasm", "host/store"));
    assert!(!allowed("host/store", "host/wasm"));
    assert!(!allowed("extensions/chain", "host/core"));
    assert!(!allowed("a/new/member", "host/core"), "a new member has to be given its place");
    assert!(!allowed("tests/guests/empty", "host/core"));
    assert!(allowed("tests/conformance", "host/wasm"));
}

#[test]
fn only_one_crate_names_wasmtime() {
    let mut wrong = Vec::new();
    for file in files(&["rs", "toml"]) {
        let place = relative(&file);
        if place.starts_with("host/wasm/") || place == "Cargo.toml" {
            continue;
        }
        if place.ends_with("tests/architecture.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        wrong.extend(
            text.lines()
                .enumerate()
                .filter(|(_, line)| names_wasmtime(line))
                .map(|(at, _)| format!("{place}:{}", at + 1)),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn prose_about_wasmtime_is_not_a_use_of_it() {
    assert!(names_wasmtime("use wasmtime::Engine;"));
    assert!(names_wasmtime("wasmtime-wasi.workspace = true"));
    assert!(!names_wasmtime("    // what wasmtime 48 does"));
    assert!(!names_wasmtime("/// Compiled by wasmtime."));
    assert!(!names_wasmtime("# wasmtime is compiled once"));
}

#[test]
fn no_source_file_is_too_long() {
    let long: Vec<String> = files(&["rs", "wit", "py", "js", "c"])
        .into_iter()
        .filter_map(|file| {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            (lines > FILE_LINES_MAX).then(|| format!("{} has {lines} lines", relative(&file)))
        })
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_top_of_the_project_holds_what_belongs_there() {
    let unknown: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}

fn allowed(member: &str, dependency: &str) -> bool {
    // A crate's own tests may switch features of itself on.
    if member == dependency {
        return true;
    }
    let entry = ALLOWED.iter().find(|(name, _)| *name == member);
    match entry {
        Some((_, allowed)) => allowed.contains(&dependency),
        None if is_guest(member) => ["extensions/sdk", "extensions/chain"].contains(&dependency),
        None => member.starts_with("tests/"),
    }
}

/// Guests of the tests are extensions: what they could do with the host's crates, no author can. (`tests/guests` itself
/// only makes files.)
fn is_guest(member: &str) -> bool {
    member.starts_with("tests/guests/")
}

fn names_wasmtime(line: &str) -> bool {
    let code = line.trim_start();
    !code.starts_with("//")
        && !code.starts_with('#')
        && code.split("//").next().is_some_and(|code| code.contains("wasmtime"))
}

/// Every member of the workspace with the members it depends on, in any way (for tests too).
fn members() -> Vec<(String, Vec<String>)> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() >= ALLOWED.len(), "cargo metadata names {} members", packages.len());
    packages
        .iter()
        .map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            let member = relative(manifest.parent().unwrap());
            let for_tests = |dependency: &Value| {
                let path = dependency["path"].as_str().map(|path| relative(Path::new(path)));
                let known = path.is_some_and(|path| FOR_TESTS.contains(&path.as_str()));
                dependency["kind"] == "dev" && member.starts_with("host/") && known
            };
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let paths = dependencies
                .filter(|dependency| !for_tests(dependency))
                .filter_map(|dependency| dependency["path"].as_str())
                .map(|path| relative(Path::new(path)))
                .collect();
            (member, paths)
        })
        .collect()
}

/// Source files of the project with one of these endings.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name == "target" || name == "node_modules" || (name.starts_with('.') && name != ".ci") {
                continue;
            }
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)) {
                found.push(path);
            }
        }
    }
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap()
}
