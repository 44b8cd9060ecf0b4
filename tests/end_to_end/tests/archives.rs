//! `peat datastore export` and `import`: a namespace as one file, which whoever reads it does not trust.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::io::Write as _;
use std::process::Stdio;

use peat_end_to_end_tests::{Checkout, Machine, Outcome, Scratch, TestBucket};

/// Bytes of a block of a tar file.
const BLOCK: usize = 512;

fn run(checkout: &Checkout, model: &str) {
    checkout.peat(&["model", "method", "run", model, "execute"]).ok();
}

/// Two models with two versions each, one content large.
fn with_data(machine: &Machine) -> Checkout {
    let checkout = machine.repository("checkout");
    checkout.shell_model("small", "date +%N");
    checkout.shell_model("large", "head -c 300000 /dev/urandom");
    for model in ["small", "large", "small", "large"] {
        run(&checkout, model);
    }
    checkout
}

/// What a user sees of both models.
fn seen(checkout: &Checkout) -> Vec<String> {
    let mut seen = Vec::new();
    for model in ["small", "large"] {
        let versions = checkout.peat(&["data", "versions", model, "stdout", "--json"]);
        if versions.code == Some(3) {
            continue;
        }
        for version in versions.ok().json()["versions"].as_array().unwrap() {
            let mut version = version.clone();
            version.as_object_mut().unwrap().remove("state");
            let number = version["version"].to_string();
            let get = ["data", "get", model, "stdout", "--version", &number, "--output", "-"];
            seen.push(format!("{model} {version} {:?}", checkout.peat(&get).ok().bytes));
        }
    }
    seen
}

#[test]
fn an_archive_of_local_data_is_imported_into_a_bucket() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::new());
    let checkout = with_data(&bucket.machine(&scratch));
    let before = seen(&checkout);
    assert_eq!(before.len(), 4);
    let file = scratch.path().join("data.tar").display().to_string();
    checkout.peat(&["datastore", "export", &file]).ok().shows(&["of 2 partitions"]);
    // The same data makes the same bytes, also on its way through a pipe.
    let piped = checkout.peat(&["datastore", "export", "-"]).ok();
    assert!(piped.bytes == std::fs::read(&file).unwrap());
    checkout.peat(&["datastore", "export", "-", "--json"]).ended_with(2);

    let other = bucket.machine(&scratch).clone_of(&checkout, "checkout");
    bucket.share(&other, &[]);
    let planned = other.peat(&["datastore", "import", &file, "--dry-run", "--json"]).ok().json();
    assert_eq!(planned["import"]["missing"]["partitions"], 2, "{planned:#}");
    assert!(seen(&other).is_empty());
    let imported = other.peat(&["datastore", "import", &file, "--json"]).ok().json();
    assert_eq!(imported["import"]["imported"], planned["import"]["missing"], "{imported:#}");
    assert_eq!(seen(&other), before);
    // Again: everything is there.
    let again = other.peat(&["datastore", "import", &file, "--json"]).ok().json();
    assert_eq!(again["import"]["imported"]["versions"], 0, "{again:#}");
    run(&other, "small");
    let versions = other.peat(&["data", "versions", "small", "stdout", "--json"]).ok().json();
    assert_eq!(versions["versions"][0]["version"], 3, "numbers go on: {versions:#}");
    // A shared datastore makes the archive that its own data made before, but for the run since.
    let third = bucket.machine(&scratch).clone_of(&other, "checkout");
    let shared = scratch.path().join("shared.tar").display().to_string();
    third.peat(&["datastore", "export", &shared]).ok().shows(&["of 2 partitions"]);
}

#[test]
fn an_archive_comes_through_a_pipe_into_a_directory() {
    let scratch = Scratch::new();
    let checkout = with_data(&scratch.machine());
    let archive = checkout.peat(&["datastore", "export", "-"]).ok().bytes;
    let other = scratch.machine().clone_of(&checkout, "checkout");
    other.share_through(&scratch.shared_directory());
    let mut importing = other.command(&["datastore", "import", "-"]);
    let mut importing = importing.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    importing.stdin.take().unwrap().write_all(&archive).unwrap();
    Outcome::of("import".to_owned(), importing.wait_with_output().unwrap()).ok();
    assert_eq!(seen(&other), seen(&checkout));
}

#[test]
fn nothing_of_a_damaged_archive_is_imported() {
    let scratch = Scratch::new();
    let checkout = with_data(&scratch.machine());
    let whole = checkout.peat(&["datastore", "export", "-"]).ok().bytes;
    let other = scratch.machine().clone_of(&checkout, "checkout");
    let import = |bytes: &[u8]| {
        let file = scratch.path().join("damaged.tar");
        std::fs::write(&file, bytes).unwrap();
        other.peat(&["datastore", "import", file.to_str().unwrap()])
    };
    // Members: manifest, index, contents in order of their digests. The manifest is the second block.
    let damaged_at = |offset: usize| {
        let mut bytes = whole.clone();
        bytes[offset] ^= 1;
        bytes
    };
    let last_block = whole.len() - 3 * BLOCK;
    for offset in [0, 150, BLOCK + 3, 3 * BLOCK + 40, whole.len() / 2, last_block] {
        import(&damaged_at(offset)).ended_with(8).says(&["Nothing was imported"]);
    }
    for length in [0, BLOCK, 3 * BLOCK + 1, whole.len() / 2, last_block] {
        import(&whole[..length]).ended_with(8).says(&["Nothing was imported"]);
    }
    import(b"no archive").ended_with(8);
    assert!(seen(&other).is_empty());
    import(&whole).ok();
    assert_eq!(seen(&other), seen(&checkout));
}

#[test]
fn an_archive_is_not_mixed_with_other_data() {
    let scratch = Scratch::new();
    let checkout = with_data(&scratch.machine());
    let file = scratch.path().join("data.tar").display().to_string();
    checkout.peat(&["datastore", "export", &file]).ok();
    let other = scratch.machine().clone_of(&checkout, "checkout");
    run(&other, "small");
    let before = seen(&other);
    other.peat(&["datastore", "import", &file]).ended_with(2).says(&["data of its own"]);
    assert_eq!(seen(&other), before);
}
