//! Listing reads the index and nothing else: no component is opened, however many there are.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use peat_end_to_end_tests::{Checkout, Scratch};
use rustix::fs::inotify;
use rustix::io::Errno;

/// The commands that list.
const LISTINGS: [&[&str]; 7] = [
    &["extension", "list"],
    &["extension", "inspect", "@examples/text"],
    &["model", "type", "search"],
    &["model", "type", "describe", "@examples/text"],
    &["model", "list"],
    &["model", "get", "text"],
    &["data", "list"],
];

fn repository(scratch: &Scratch) -> Checkout {
    let repository = scratch.machine().repository("r");
    repository.write("source/a.txt", "a b c\n");
    repository.install("example-text", &["--grant", "files:source=source"]);
    repository.install("test-empty", &[]);
    repository.peat(&["model", "create", "text", "--type", "@examples/text"]).ok();
    repository
}

#[test]
fn listings_read_no_component_and_running_notices_a_wrong_one() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let shown: Vec<String> = LISTINGS.iter().map(|listing| repository.peat(listing).ok().stdout).collect();
    // The length stays, so that only reading can notice.
    let components = components(&repository);
    assert_eq!(components.len(), 2);
    for component in &components {
        let zeros = vec![0; fs::read(component).unwrap().len()];
        fs::remove_file(component).unwrap();
        fs::write(component, zeros).unwrap();
    }
    fs::remove_dir_all(repository.path().join("extensions")).unwrap();
    for (listing, before) in LISTINGS.iter().zip(shown) {
        assert_eq!(repository.peat(listing).ok().stdout, before, "{listing:?}");
    }
    let cache = repository.machine().directory("cache");
    fs::remove_dir_all(cache).unwrap();
    let run = ["model", "method", "run", "text", "profile", "--input", "path=a.txt"];
    let outcome = repository.peat(&run).says(&["@examples/text"]);
    assert!(matches!(outcome.code, Some(2 | 3 | 8)), "{outcome}");
}

#[test]
fn listings_name_an_extension_whose_component_is_gone() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    for component in components(&repository) {
        fs::remove_file(component).unwrap();
    }
    fs::remove_dir_all(repository.path().join("extensions")).unwrap();
    assert!(repository.peat(&["extension", "list"]).ok().stdout.contains("@examples/text"));
    repository.peat(&["model", "list"]).ok();
    let run = ["model", "method", "run", "text", "profile", "--input", "path=a.txt"];
    repository.peat(&run).ended_with(3).says(&["@examples/text", "extension add"]);
}

#[test]
fn listings_open_no_component_and_no_compiled_code() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let run = ["model", "method", "run", "text", "profile", "--input", "path=a.txt"];
    // From here on there is compiled code, too.
    repository.peat(&run).ok();
    let opened = Opened::below(scratch.path());
    for listing in LISTINGS {
        repository.peat(listing).ok();
        let all = opened.since_last();
        assert!(all.iter().any(|name| name == "peat.yaml"), "{listing:?}: the watch sees nothing: {all:?}");
        assert!(!all.iter().any(|name| is_code(name)), "{listing:?} opened {all:?}");
    }
    for helping in [&["--help"][..], &["completions", "bash"], &["version"], &["cache", "status"]] {
        repository.peat(helping).ok();
        let all = opened.since_last();
        assert!(!all.iter().any(|name| is_code(name)), "{helping:?} opened {all:?}");
    }
    repository.peat(&run).ok();
    let all = opened.since_last();
    assert!(all.iter().any(|name| is_code(name)), "a run loads code, and the watch does not see it: {all:?}");
}

fn is_code(name: &str) -> bool {
    [".wasm", ".cwasm"].iter().any(|ending| name.ends_with(ending))
}

/// The files that anybody opens below a directory, as the kernel reports them.
struct Opened(OwnedFd);

impl Opened {
    /// Watches the directories that are there now.
    fn below(directory: &Path) -> Self {
        let watch = Self(inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap());
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            inotify::add_watch(&watch.0, &directory, inotify::WatchFlags::OPEN).unwrap();
            let inside = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
            directories.extend(inside.filter(|path| path.is_dir() && !path.is_symlink()));
        }
        watch.since_last();
        watch
    }

    /// Names of the files opened since the last call.
    fn since_last(&self) -> Vec<String> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        let mut names = Vec::new();
        loop {
            match events.next() {
                Ok(event) => {
                    assert!(!event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW), "events were lost");
                    names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
                }
                Err(Errno::AGAIN) => return names,
                Err(error) => panic!("the watch failed: {error}"),
            }
        }
    }
}

#[test]
fn a_fresh_checkout_installs_what_the_lock_file_names_from_the_repository_itself() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let clone = scratch.machine().clone_of(&repository, "r");
    clone.peat(&["model", "method", "run", "text", "profile", "--input", "path=a.txt"]).ok();
    // And refuses a file that is not what was locked.
    let other = scratch.machine().clone_of(&repository, "r");
    other.write("extensions/example-text.wasm", fs::read(other.path().join("extensions/test-empty.wasm")).unwrap());
    let outcome = other.peat(&["model", "method", "run", "text", "profile", "--input", "path=a.txt"]);
    assert!(outcome.code != Some(0), "{outcome}");
    outcome.says(&["@examples/text"]);
}

/// The installed components of the checkout's machine.
fn components(checkout: &Checkout) -> Vec<PathBuf> {
    fs::read_dir(checkout.machine().home().join("extensions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|ending| ending == "wasm"))
        .collect()
}
