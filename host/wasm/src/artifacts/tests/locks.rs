//! Who waits for whom.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::super::directory::OwnedDirectory;
use super::*;

/// Longer than any of these tests may take.
const LONG: Duration = Duration::from_secs(60);

/// The directory in which the child of a test holds the lock.
const DIRECTORY_VARIABLE: &str = "PEAT_TEST_LOCK_DIRECTORY";

/// The lock that it holds.
const LOCK_VARIABLE: &str = "PEAT_TEST_LOCK_NAME";

#[test]
fn a_lock_whose_holder_does_not_move_is_not_waited_for_without_end() {
    let place = Place::new();
    let directory = OwnedDirectory::create(&place.cache()).unwrap();
    let held = directory.lock("one.lock", Duration::ZERO).unwrap();
    let error = directory.lock("one.lock", Duration::from_millis(30)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    drop(held);
    directory.lock("one.lock", Duration::ZERO).unwrap();
}

#[test]
fn a_lock_that_was_removed_while_it_was_waited_for_is_taken_anew() {
    let place = Place::new();
    let directory = OwnedDirectory::create(&place.cache()).unwrap();
    let held = directory.lock("one.lock", Duration::ZERO).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| directory.lock("one.lock", LONG).unwrap());
        // Both when it waits already and when it does not, it ends with the file that is there.
        std::thread::sleep(Duration::from_millis(50));
        directory.remove("one.lock").unwrap();
        drop(held);
        let taken = waiting.join().unwrap();
        assert_eq!(directory.lock("one.lock", Duration::ZERO).unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        drop(taken);
    });
    directory.lock("one.lock", Duration::ZERO).unwrap();
}

/// Not a test: what the tests below start as a process of its own.
#[test]
#[ignore = "started by other tests"]
fn a_process_that_holds_a_lock() {
    let (directory, name) = (std::env::var(DIRECTORY_VARIABLE).unwrap(), std::env::var(LOCK_VARIABLE).unwrap());
    let directory = OwnedDirectory::open(directory.into()).unwrap();
    let _lock = directory.lock(&name, LONG).unwrap();
    println!("\nheld");
    // Until the test ends it.
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// A process with the lowest priority that holds a lock until it is killed.
fn holder_of_low_priority(directory: &std::path::Path, name: &str) -> Child {
    let program = std::env::current_exe().unwrap();
    let mut child = Command::new("nice")
        .args(["-n", "19"])
        .arg(program)
        .args(["--exact", "artifacts::tests::locks::a_process_that_holds_a_lock", "--ignored", "--nocapture"])
        .env(DIRECTORY_VARIABLE, directory)
        .env(LOCK_VARIABLE, name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap() == "held"), "the child does not hold the lock");
    child
}

fn has_lowest_priority() -> bool {
    let lowest = rustix::process::getpriority_process(None).unwrap() >= 19;
    if lowest {
        eprintln!("SKIPPED: this process has the lowest priority itself");
    }
    lowest
}

#[test]
fn a_holder_of_lower_priority_is_not_waited_for_and_one_of_the_same_is() {
    if has_lowest_priority() {
        return;
    }
    let place = Place::new();
    let directory = OwnedDirectory::create(&place.cache()).unwrap();
    let mut holder = holder_of_low_priority(&place.cache(), "one.lock");
    let refused = directory.lock("one.lock", LONG).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock, "{refused}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    // What it noted does not outlive it: the next holder is this process, and is waited for.
    let _held = directory.lock("one.lock", LONG).unwrap();
    let refused = directory.lock("one.lock", Duration::from_millis(30)).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::TimedOut, "{refused}");
}

#[test]
fn nobody_waits_for_the_background_to_compile() {
    if has_lowest_priority() {
        return;
    }
    let place = Place::new();
    // There is a directory now, and nothing in it.
    place.load(place.bytes()).unwrap();
    inventory::remove(&place.cache(), &place.kept()).unwrap();
    let lock = format!("{}.lock", Digest::of(&place.wasm));
    let mut holder = holder_of_low_priority(&place.shelf(), &lock);
    let begun = Instant::now();
    place.load(place.bytes()).unwrap();
    assert!(place.is_kept(), "what was compiled beside the background was not kept");
    place.bundle(place.bytes()).unwrap();
    assert!(begun.elapsed() < LONG, "it waited for the background");
    holder.kill().unwrap();
    holder.wait().unwrap();
}
