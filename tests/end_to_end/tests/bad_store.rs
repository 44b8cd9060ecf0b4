//! Stores that are full, read-only, of a newer format or damaged: a clear error, the documented exit code, nothing lost.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::fs;
use std::path::{Path, PathBuf};

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, in_mount_namespace};
use sha2::{Digest as _, Sha256};

/// Where SQLite keeps `user_version` in the file, big-endian.
const USER_VERSION_OFFSET: usize = 60;

/// Each adds some 4 KiB to a head that keeps 40.
const RUNS_TO_FILL_A_HEAD: usize = 14;

const RUN: [&str; 5] = ["model", "method", "run", "hello", "execute"];

fn repository(scratch: &Scratch) -> Checkout {
    let repository = scratch.machine().repository("r");
    repository.shell_model("hello", "echo hello");
    repository.shell_model("big", "head -c 6000000 /dev/urandom");
    repository
}

/// Runs a script in which file systems may be mounted, or says that it could not.
fn mounted(repository: &Checkout, script: &str) -> Option<Outcome> {
    let outcome = in_mount_namespace(&repository.command::<&str>(&[]), script);
    if outcome.is_none() {
        println!("not tested: this system lets nobody make a mount namespace");
    }
    outcome
}

/// The exit codes of the script's peat commands, in order.
fn codes(outcome: &Outcome) -> Vec<i32> {
    outcome.stdout.lines().filter_map(|line| line.strip_prefix("exit ")).map(|code| code.parse().unwrap()).collect()
}

/// Every file below `directory` with this name or ending.
fn files(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path(), ending));
        } else if entry.path().to_string_lossy().ends_with(ending) {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn a_full_local_store_says_so_and_keeps_what_it_has() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let script = "
        mount -t tmpfs -o size=3m peat-test \"$PEAT_HOME\"
        peat model method run hello execute
        peat model method run big execute
        peat data get hello stdout --output -
        peat model method run hello execute
        mount -o remount,size=64m \"$PEAT_HOME\"
        peat model method run big execute
        peat data versions hello stdout";
    let Some(outcome) = mounted(&repository, script) else { return };
    let outcome = outcome.says(&["no room left", "free some space"]);
    let codes = codes(&outcome);
    assert_eq!(codes[..3], [0, 6, 0], "{outcome}");
    // A small run may still find room for itself.
    assert!(matches!(codes[3], 0 | 6), "{outcome}");
    assert_eq!(codes[4..], [0, 0], "{outcome}");
}

#[test]
fn a_full_shared_directory_loses_nothing_and_a_later_sync_sends_it() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let shared = scratch.shared_directory();
    repository.install("peat-directory", &[]);
    let shared = shared.display();
    let script = format!(
        "
        mount -t tmpfs -o size=3m peat-test {shared}
        peat datastore setup @peat/directory --setting path={shared}
        peat model method run hello execute
        peat model method run big execute
        peat datastore status
        mount -o remount,size=64m {shared}
        peat datastore sync
        peat datastore status
        peat data versions big stdout"
    );
    let Some(outcome) = mounted(&repository, &script) else { return };
    let outcome = outcome.says(&["no room left", "peat datastore sync"]);
    assert_eq!(codes(&outcome), [0, 0, 6, 0, 0, 0, 0], "{outcome}");
}

#[test]
fn a_read_only_local_store_is_named_with_its_remedy() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    repository.peat(&RUN).ok();
    let script = "
        mount --bind \"$PEAT_HOME\" \"$PEAT_HOME\"
        mount -o remount,ro,bind \"$PEAT_HOME\"
        peat model method run hello execute
        peat model list";
    let Some(outcome) = mounted(&repository, script) else { return };
    let outcome = outcome.says(&["cannot be written", "PEAT_HOME"]);
    assert_eq!(codes(&outcome), [6, 0], "{outcome}");
    repository.peat(&["data", "get", "hello", "stdout"]).ok();
}

#[test]
fn a_read_only_shared_directory_keeps_the_results_here() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let shared = scratch.shared_directory();
    repository.share_through(&shared);
    repository.peat(&RUN).ok();
    let shared = shared.display();
    let script = format!(
        "
        mount --bind {shared} {shared}
        mount -o remount,ro,bind {shared}
        peat model method run hello execute
        peat data get hello stdout --output -"
    );
    let Some(outcome) = mounted(&repository, &script) else { return };
    let codes = codes(&outcome);
    assert!(matches!(codes[0], 6 | 7), "{outcome}");
    assert_eq!(codes[1], 0, "{outcome}");
    outcome.says(&["access was refused", "cannot be written"]);
    repository.peat(&RUN).ok();
}

#[test]
fn a_local_store_of_a_newer_format_is_refused_unchanged() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    repository.peat(&RUN).ok();
    let database = files(&repository.machine().home(), "store.db").pop().unwrap();
    let original = fs::read(&database).unwrap();
    let mut newer = original.clone();
    newer[USER_VERSION_OFFSET..USER_VERSION_OFFSET + 4].copy_from_slice(&900_u32.to_be_bytes());
    fs::write(&database, &newer).unwrap();
    for command in [&RUN[..], &["data", "list"]] {
        repository.peat(command).ended_with(6).says(&["store.db", "format 900", "newer peat"]);
    }
    assert_eq!(fs::read(&database).unwrap(), newer, "a newer store was written to");
    fs::write(&database, original).unwrap();
    repository.peat(&["data", "get", "hello", "stdout"]).ok();
}

#[test]
fn a_damaged_local_store_is_named_with_its_remedy() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    repository.peat(&RUN).ok();
    let database = files(&repository.machine().home(), "store.db").pop().unwrap();
    fs::write(&database, "this was never a database, whatever its name says".repeat(100)).unwrap();
    for command in [&RUN[..], &["data", "list"], &["datastore", "verify"]] {
        repository.peat(command).ended_with(8).says(&["store.db", "damaged", "restore a backup"]);
    }
}

#[test]
fn a_damaged_head_is_named_and_other_models_go_on() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let shared = scratch.shared_directory();
    repository.share_through(&shared);
    repository.shell_model("other", "echo other");
    repository.peat(&RUN).ok();
    let head =
        files(&shared, ".json.object").into_iter().find(|file| file.to_string_lossy().contains("model--")).unwrap();
    let original = fs::read(&head).unwrap();
    for damage in [&b"not a head"[..], b"", &original[..original.len() / 2]] {
        fs::write(&head, damage).unwrap();
        let outcome = repository.peat(&RUN).ended_with(8);
        outcome.says(&["model--command+shell--"]);
        assert_eq!(fs::read(&head).unwrap(), damage, "a damaged head was written over");
        repository.peat(&["model", "method", "run", "other", "execute"]).ok();
        // What is here is still to be had.
        repository.peat(&["data", "get", "hello", "stdout", "--version", "1"]).ok();
    }
    // A file that is whole and holds no head: who has not seen the head before must notice.
    let mut changed = original.clone();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    fs::write(&head, changed).unwrap();
    let fresh = scratch.machine().clone_of(&repository, "r");
    for command in [&RUN[..], &["datastore", "sync"]] {
        fresh.peat(command).ended_with(8).says(&["model--command+shell--"]);
    }
    fs::write(&head, original).unwrap();
    repository.peat(&RUN).ok();
    fresh.peat(&["datastore", "sync"]).ok();
    assert_eq!(fresh.peat(&["data", "get", "hello", "stdout", "--output", "-"]).ok().stdout, "hello\n");
}

#[test]
fn a_damaged_segment_of_the_index_is_named_and_other_models_go_on() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let shared = scratch.shared_directory();
    repository.share_through(&shared);
    // What a head has no room for moves to a segment.
    repository.shell_model("grows", "head -c 2900 /dev/urandom | base64 -w 0");
    let grow = ["model", "method", "run", "grows", "execute"];
    for _ in 0..RUNS_TO_FILL_A_HEAD {
        repository.peat(&grow).ok();
    }
    repository.peat(&RUN).ok();
    let segments = || -> Vec<PathBuf> {
        files(&shared, ".object").into_iter().filter(|file| file.to_string_lossy().contains("_segments")).collect()
    };
    let originals: Vec<_> = segments().into_iter().map(|file| (fs::read(&file).unwrap(), file)).collect();
    assert!(!originals.is_empty(), "nothing was spilled");
    for damage in ["changed", "cut"] {
        for (original, file) in &originals {
            let mut bytes = original.clone();
            match damage {
                "changed" => {
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                }
                _ => bytes.truncate(original.len() / 2),
            }
            fs::write(file, bytes).unwrap();
        }
        // Who has not read it before must notice, takes nothing over, and goes on with everything else.
        let fresh = scratch.machine().clone_of(&repository, "r");
        for command in [&grow[..], &["datastore", "sync"], &["data", "list", "grows"]] {
            fresh.peat(command).ended_with(8).says(&["_segments/model--"]);
        }
        fresh.peat(&RUN).ok();
        for (original, file) in &originals {
            fs::write(file, original).unwrap();
        }
        fresh.peat(&["datastore", "sync"]).ok();
        fresh.peat(&grow).ok();
    }
}

#[test]
fn a_datastore_of_a_newer_format_is_refused_unchanged() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let shared = scratch.shared_directory();
    repository.share_through(&shared);
    repository.peat(&RUN).ok();
    // Whoever brings a namespace to a newer format has it for itself meanwhile: from then on writers ask the root.
    repository.peat(&["datastore", "lock", "run", "--", "true"]).ok();
    let objects = files(&shared, ".json.object");
    let object = |word: &str| objects.iter().find(|file| file.to_string_lossy().contains(word)).unwrap();
    let (root, meta, head) = (object("/peat.json"), object("/_meta.json"), object("model--"));
    let sync = &["datastore", "sync"][..];
    // The first use of the store notices it, whichever command that is.
    let first_use = &[&["datastore", "verify"][..], &["data", "list", "hello"], sync, &RUN][..];
    for (file, commands) in [(root, first_use), (meta, &[&RUN[..]]), (head, &[sync, &RUN])] {
        // The length and the header stay: only what is said changes.
        let original = fs::read(file).unwrap();
        let newer = of_format_9(&original);
        fs::write(file, &newer).unwrap();
        let fresh = scratch.machine().clone_of(&repository, "r");
        for command in commands {
            fresh.peat(command).ended_with(6).says(&["format 9", "newer version"]);
        }
        assert_eq!(fs::read(file).unwrap(), newer, "{} was written over", file.display());
        fs::write(file, original).unwrap();
    }
}

/// The record in a file of the shared directory as a newer Peat would write it: another format, its checksum right.
fn of_format_9(original: &[u8]) -> Vec<u8> {
    let place = |text: &[u8]| original.windows(text.len()).position(|window| window == text).unwrap();
    let mut newer = original.to_vec();
    newer[place(b"\"format\":1") + 9] = b'9';
    let checksum = place(b"{\"checksum\":\"") + 13;
    let body = [b"{", &newer[checksum + 66..]].concat();
    let digits: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    newer[checksum..checksum + 64].copy_from_slice(digits.as_bytes());
    newer
}

#[test]
fn a_shared_directory_that_is_gone_is_not_made_anew() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let shared = scratch.shared_directory();
    repository.share_through(&shared);
    repository.peat(&RUN).ok();
    let aside = scratch.path().join("aside");
    fs::rename(&shared, &aside).unwrap();
    repository.peat(&RUN).ended_with(6).says(&[&*shared.to_string_lossy(), "is gone"]);
    // Where it never was, it is not gone.
    let stranger = scratch.machine().clone_of(&repository, "r");
    let outcome = stranger.peat(&["datastore", "sync"]).ended_with(3);
    let outcome = outcome.says(&["there is no directory", &shared.to_string_lossy(), "datastore.settings.path"]);
    assert!(!outcome.stderr.contains("gone"), "{outcome}");
    assert!(!shared.exists(), "a run made the missing directory: a file system that is not mounted would be hidden");
    fs::rename(&aside, &shared).unwrap();
    repository.peat(&RUN).ok();
}

#[test]
fn a_damaged_content_is_not_handed_out() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    repository.peat(&["model", "method", "run", "big", "execute"]).ok();
    let content = files(&repository.machine().home().join("repositories"), "")
        .into_iter()
        .find(|file| fs::metadata(file).unwrap().len() == 6_000_000)
        .unwrap();
    let mut bytes = fs::read(&content).unwrap();
    bytes[3_000_000] ^= 1;
    fs::remove_file(&content).unwrap();
    fs::write(&content, bytes).unwrap();
    let outcome = repository.peat(&["data", "get", "big", "stdout", "--output", "-"]).ended_with(8);
    outcome.says(&["damaged"]);
}
