//! Listing reads the index and nothing else: no component is opened, however many there are.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use peat_end_to_end_tests::{Checkout, Scratch};
use rustix::fs::inotify;
use rustix::io::Errno;

/// A run that loads code.
const RUN: [&str; 7] = ["model", "method", "run", "text", "profile", "--input", "path=a.txt"];

fn repository(scratch: &Scratch) -> Checkout {
    let repository = scratch.cold_machine().repository("r");
    repository.write("source/a.txt", "a b c\n");
    repository.install("example-text", &["--grant", "files:source=source"]);
    repository.install("test-empty", &[]);
    repository.peat(&["model", "create", "text", "--type", "@examples/text"]).ok();
    repository
}

/// Every command that runs no method and asks no datastore, for a repository in which [`RUN`] has been.
fn commands_without_code(repository: &Checkout) -> Vec<Vec<String>> {
    let answer = |arguments: &[&str]| repository.peat(arguments).ok().json();
    let run = answer(&["run", "list", "--json"])["runs"][0]["id"].as_str().unwrap().to_owned();
    let data = answer(&["data", "list", "--json"])["data"][0]["name"].as_str().unwrap().to_owned();
    let commands: [&[&str]; 27] = [
        &["extension", "list"],
        &["extension", "inspect", "@examples/text"],
        &["model", "type", "search"],
        &["model", "type", "search", "text"],
        &["model", "type", "describe", "@examples/text"],
        &["model", "type", "describe", "command/shell"],
        &["model", "list"],
        &["model", "get", "text"],
        &["model", "validate"],
        &["model", "validate", "text"],
        &["model", "create", "another", "--type", "@examples/text"],
        &["model", "delete", "another"],
        &["data", "list"],
        &["data", "list", "text"],
        &["data", "versions", "text", &data],
        &["data", "get", "text", &data],
        &["run", "list"],
        &["run", "show", &run],
        &["run", "logs", &run],
        &["datastore", "status"],
        &["datastore", "lock", "status", "--help"],
        &["cache", "status"],
        &["cache", "status", "--json"],
        &["completions", "bash"],
        &["version"],
        &["--help"],
        &["model", "method", "run", "--help"],
    ];
    commands.map(|words| words.iter().map(|word| (*word).to_owned()).collect()).to_vec()
}

#[test]
fn commands_that_run_no_method_open_no_component_and_no_compiled_code() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    // From here on there is compiled code, too.
    repository.peat(&RUN).ok();
    open_no_code(&scratch, &repository);
}

#[test]
fn nor_do_they_with_a_shared_datastore_when_everything_is_here() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    repository.share_through(&scratch.shared_directory());
    repository.peat(&RUN).ok();
    open_no_code(&scratch, &repository);
}

fn open_no_code(scratch: &Scratch, repository: &Checkout) {
    let commands = commands_without_code(repository);
    let opened = Opened::below(scratch.path());
    for command in commands {
        repository.peat(&command).ok();
        let all = opened.since_last();
        let is_of_a_repository =
            !["--help", "completions", "version"].iter().any(|word| command.contains(&(*word).to_owned()));
        if is_of_a_repository {
            assert!(all.iter().any(|name| name == "peat.yaml"), "{command:?}: the watch sees nothing: {all:?}");
        }
        assert!(!all.iter().any(|name| is_code(name)), "{command:?} opened {all:?}");
    }
    repository.peat(&RUN).ok();
    let all = opened.since_last();
    assert!(all.iter().any(|name| is_code(name)), "a run loads code, and the watch does not see it: {all:?}");
}

#[test]
fn a_component_whose_file_was_changed_is_read_again_and_no_other_is() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let (text, empty) = (component_of(&repository, "@examples/text"), component_of(&repository, "@test/empty"));
    let names = [&text, &empty].map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    let before = repository.peat(&["extension", "list"]).ok().stdout;
    let good = fs::read(&text).unwrap();
    let opened = Opened::below(scratch.path());
    let list_opens = || {
        assert_eq!(repository.peat(&["extension", "list"]).ok().stdout, before);
        let mut code: Vec<String> = opened.since_last().into_iter().filter(|name| is_code(name)).collect();
        code.dedup();
        code
    };
    assert_eq!(list_opens(), [""; 0]);

    // The same bytes: it is looked at once and known again.
    fs::write(&text, &good).unwrap();
    opened.since_last();
    assert_eq!(list_opens(), [&*names[0]]);
    assert_eq!(list_opens(), [""; 0]);

    // Other bytes of the same length: it is installed again from the repository.
    fs::write(&text, vec![0; good.len()]).unwrap();
    opened.since_last();
    let code = list_opens();
    assert!(code.contains(&"example-text.wasm".to_owned()) && !code.contains(&names[1]), "{code:?}");
    assert_eq!(fs::read(&text).unwrap(), good);
    opened.since_last();
    assert_eq!(list_opens(), [""; 0]);

    // Gone: the same.
    fs::remove_file(&text).unwrap();
    let code = list_opens();
    assert!(code.contains(&"example-text.wasm".to_owned()) && !code.contains(&names[1]), "{code:?}");
    assert_eq!(list_opens(), [""; 0]);

    // Another one comes and goes: nobody looks at those that were there.
    repository.install("example-lockfile", &["--grant", "files:project=source"]);
    let code = opened.since_last();
    assert!(code.contains(&"example-lockfile.wasm".to_owned()), "{code:?}");
    assert!(!code.iter().any(|name| names.contains(name)), "{code:?}");
    repository.peat(&["extension", "remove", "@examples/lockfile"]).ok();
    assert!(!opened.since_last().iter().any(|name| names.contains(name)));
    assert_eq!(list_opens(), [""; 0]);
}

#[test]
fn an_extension_whose_component_was_changed_is_named_by_listings_and_not_run() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    for component in components(&repository) {
        // The length stays.
        let zeros = vec![0; fs::read(&component).unwrap().len()];
        fs::write(component, zeros).unwrap();
    }
    fs::remove_dir_all(repository.path().join("extensions")).unwrap();
    let listed = repository.peat(&["extension", "list"]).ok();
    assert_eq!(listed.stdout.matches("not usable").count(), 2, "{listed}");
    repository.peat(&["model", "list"]).ok();
    repository.peat(&["model", "type", "search"]).ok().shows(&["command/shell"]);
    repository.peat(&RUN).ended_with(3).says(&["@examples/text", "extension add"]);
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
    repository.peat(&RUN).ended_with(3).says(&["@examples/text", "extension add"]);
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
    let clone = scratch.cold_machine().clone_of(&repository, "r");
    clone.peat(&RUN).ok();
    // And refuses a file that is not what was locked.
    let other = scratch.cold_machine().clone_of(&repository, "r");
    other.write("extensions/example-text.wasm", fs::read(other.path().join("extensions/test-empty.wasm")).unwrap());
    let outcome = other.peat(&RUN);
    assert!(outcome.code != Some(0), "{outcome}");
    outcome.says(&["@examples/text"]);
}

/// The installed component of one extension.
fn component_of(checkout: &Checkout, extension: &str) -> PathBuf {
    let listed = checkout.peat(&["extension", "list", "--json"]).ok().json();
    let listed = listed["extensions"].as_array().unwrap().iter().find(|listed| listed["name"] == extension);
    checkout.machine().home().join("extensions").join(format!("{}.wasm", listed.unwrap()["sha256"].as_str().unwrap()))
}

/// The installed components of the checkout's machine.
fn components(checkout: &Checkout) -> Vec<PathBuf> {
    fs::read_dir(checkout.machine().home().join("extensions"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|file| file.extension().is_some_and(|ending| ending == "wasm"))
        .collect()
}
