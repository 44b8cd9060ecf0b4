//! Methods outside of `peat`: what a runner is started with, what becomes of it when anybody dies, and what is said when one
//! cannot be had.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{
    Checkout, Outcome, Scratch, children_of, containers, containers_of, eventually, is_running,
};
use rustix::process::{Pid, Signal, kill_process};

/// How long a run may take to end after the first signal: five seconds, and what a busy machine adds.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

fn repository(scratch: &Scratch) -> Checkout {
    let repository = scratch.cold_machine().repository("r");
    repository.write("folder/readme.txt", "one two three\n");
    repository.install("test-misbehaving", &["--grant", "files:folder=folder", "--grant", "secrets:token=PATH"]);
    repository.peat(&["model", "create", "bad", "--type", "@test/misbehaving"]).ok();
    repository.install("example-text", &["--grant", "files:source=folder"]);
    repository.peat(&["model", "create", "text", "--type", "@examples/text"]).ok();
    repository
}

/// An executable in place of the runner.
fn instead_of_the_runner(scratch: &Scratch, script: &str) -> PathBuf {
    let file = scratch.path().join("instead");
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}

fn run_with(repository: &Checkout, runner: &str, method: &str) -> Outcome {
    let mut command = repository.command(&["model", "method", "run", "bad", method, "--driver", "process"]);
    Outcome::of(format!("run bad {method}"), command.env("PEAT_RUNNER", runner).output().unwrap())
}

#[test]
fn a_runner_is_started_with_three_pipes_and_nothing_else() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let place = |name: &str| scratch.path().join(name).display().to_string();
    let script = format!(
        "ls -l /proc/$$/fd > '{}'; tr '\\0' '\\n' < /proc/$$/environ > '{}'; pwd > '{}'; \
         echo $(cut -d' ' -f6 /proc/$$/stat) $$ > '{}'",
        place("descriptors"),
        place("environment"),
        place("directory"),
        place("session")
    );
    let runner = instead_of_the_runner(&scratch, &script);
    // A descriptor that peat inherits, as of a careless parent.
    let inherited = std::fs::File::open("/etc/passwd").unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    assert!(inherited.as_raw_fd() > 2);
    let mut command = repository.command(&["model", "method", "run", "bad", "fail", "--driver", "process"]);
    command.env("PEAT_RUNNER", &runner).env("PEAT_TEST_TOKEN", "a-secret-value");
    let outcome = Outcome::of("run".to_owned(), command.output().unwrap());
    assert_ne!(outcome.code, Some(0), "{outcome}");
    let seen = |name: &str| std::fs::read_to_string(scratch.path().join(name)).unwrap();
    assert_eq!(seen("environment"), "");
    assert_eq!(seen("directory"), "/\n");
    let session = seen("session");
    let (session, process) = session.trim().split_once(' ').unwrap();
    assert_eq!(session, process, "it leads a session of its own");
    let descriptors = seen("descriptors");
    let targets: Vec<&str> = descriptors.lines().filter_map(|line| Some(line.split_once(" -> ")?.1)).collect();
    // The shell's own: the script, and what it writes this list to, for which it keeps the pipe under another number.
    let of_the_shell = |target: &str| target.ends_with("/instead") || target.ends_with("/descriptors");
    let other: Vec<_> = targets.iter().filter(|target| !of_the_shell(target)).collect();
    assert!(other.len() == 3 && other.iter().all(|target| target.starts_with("pipe:")), "{descriptors}");
}

#[test]
fn a_runner_that_is_missing_dead_or_lying_is_named_and_the_next_run_works() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let missing = run_with(&repository, "/nowhere/peat-runner", "fail");
    missing.says(&["/nowhere/peat-runner", "PEAT_RUNNER"]);
    for (script, words) in [
        ("echo no room >&2; exit 3", ["exit status 3", "no room"]),
        ("kill -9 $$", ["killed by signal 9", "@test/misbehaving"]),
        ("echo this is no protocol; cat >/dev/null", ["runner", "@test/misbehaving"]),
        ("head -c 100000000 /dev/zero; cat >/dev/null", ["runner", "@test/misbehaving"]),
    ] {
        let runner = instead_of_the_runner(&scratch, script);
        let outcome = run_with(&repository, runner.to_str().unwrap(), "fail");
        assert_ne!(outcome.code, Some(0), "{outcome}");
        outcome.says(&words);
    }
    repository
        .peat(&["model", "method", "run", "text", "profile", "-i", "path=readme.txt", "--driver", "process"])
        .ok();
}

fn drivers() -> Vec<&'static str> {
    if containers().is_none() {
        eprintln!("not tested: no container can be run on this machine");
        return vec!["process"];
    }
    vec!["process", "container"]
}

#[test]
fn a_method_does_the_same_wherever_it_runs() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let run = |driver: &str| {
        let arguments =
            ["model", "method", "run", "text", "profile", "-i", "path=readme.txt", "--json", "--driver", driver];
        let outcome = repository.peat(&arguments).ok().json();
        assert_eq!(outcome["run"]["driver"], driver, "{outcome:#}");
        let shown = repository.peat(&["run", "show", outcome["run"]["id"].as_str().unwrap()]).ok();
        shown.shows(&[driver]);
        (outcome["run"]["summary"].clone(), outcome["run"]["data"].clone())
    };
    let here = run("in-process");
    for driver in drivers() {
        assert_eq!(run(driver), here, "{driver}");
    }
}

/// A run that computes until somebody ends it, and has begun.
fn spinning(repository: &Checkout, driver: &str) -> Child {
    let mut command = repository.command(&["model", "method", "run", "bad", "spin", "--driver", driver]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    match driver {
        "process" => eventually("a runner that computes", || {
            let runners = children_of(child.id());
            runners.iter().any(|(runner, _)| processor_ticks(*runner) > 20).then_some(())
        }),
        _ => eventually("a container that runs", || {
            let names = containers_of(containers().unwrap(), child.id());
            names.iter().any(|name| is_computing(name)).then_some(())
        }),
    }
    child
}

/// Hundredths of a second that a process has computed.
fn processor_ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    after.split(' ').nth(11).and_then(|ticks| ticks.parse().ok()).unwrap_or(0)
}

fn is_computing(container: &str) -> bool {
    let words = ["inspect", "--format", "{{.State.Pid}}", container];
    let output = Command::new(containers().unwrap()).args(words).output().unwrap();
    let process = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
    process > 0 && processor_ticks(process) > 20
}

/// The processes that a run has: those to be gone with it.
fn processes_of(child: &Child) -> Vec<u32> {
    children_of(child.id()).into_iter().map(|(process, _)| process).collect()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn nothing_is_left(driver: &str, process: u32, children: &[u32]) {
    assert!(!children.is_empty());
    for child in children {
        eventually("the end of what the run had started", || (!is_running(*child)).then_some(()));
    }
    if driver == "container" {
        let runtime = containers().unwrap();
        eventually("the end of its container", || containers_of(runtime, process).is_empty().then_some(()));
    }
}

#[test]
fn a_host_that_is_killed_leaves_no_process_and_no_container() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    for driver in drivers() {
        let mut child = spinning(&repository, driver);
        let children = processes_of(&child);
        signal(&child, Signal::KILL);
        child.wait().unwrap();
        nothing_is_left(driver, child.id(), &children);
    }
}

#[test]
fn an_interrupted_run_ends_soon_with_all_it_had_started() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    for driver in drivers() {
        let child = spinning(&repository, driver);
        let (process, children) = (child.id(), processes_of(&child));
        let started = Instant::now();
        signal(&child, Signal::INT);
        let outcome = Outcome::of(format!("run bad spin --driver {driver}"), child.wait_with_output().unwrap());
        assert!(started.elapsed() < STOP_PATIENCE, "{driver}: {:?}", started.elapsed());
        outcome.ended_with(130);
        nothing_is_left(driver, process, &children);
    }
}

#[test]
fn a_runner_that_is_killed_is_a_named_error_and_the_run_is_recorded() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let child = spinning(&repository, "process");
    let runner = processes_of(&child)[0];
    kill_process(Pid::from_raw(i32::try_from(runner).unwrap()).unwrap(), Signal::KILL).unwrap();
    let outcome = Outcome::of("run bad spin".to_owned(), child.wait_with_output().unwrap()).ended_with(70);
    outcome.says(&["@test/misbehaving", "killed by signal 9"]);
    let runs = repository.peat(&["run", "list", "--json"]).ok().json();
    assert_eq!(runs["runs"][0]["status"], "failed", "{runs:#}");
}

#[test]
fn drivers_are_chosen_by_the_command_line_the_model_and_the_repository() {
    let scratch = Scratch::new();
    let repository = repository(&scratch);
    let chosen = || {
        let seen = repository.peat(&["model", "get", "text", "--json"]).ok().json();
        (seen["driver"]["kind"].as_str().unwrap().to_owned(), seen["driver"]["from"].as_str().unwrap().to_owned())
    };
    let is = |kind: &str, from: &str| (kind.to_owned(), from.to_owned());
    assert_eq!(chosen(), is("in-process", "default"));
    let config = repository.read("peat.yaml");
    repository.write("peat.yaml", format!("{config}driver: process\n"));
    assert_eq!(chosen(), is("process", "peat.yaml"));
    let model = repository.read("models/text.yaml");
    repository.write("models/text.yaml", format!("{model}driver: {{kind: container, memory: 1GiB}}\n"));
    assert_eq!(chosen(), is("container", "model"));
    let arguments =
        ["model", "method", "run", "text", "profile", "-i", "path=readme.txt", "--json", "--driver", "in-process"];
    assert_eq!(repository.peat(&arguments).ok().json()["run"]["driver"], "in-process");
    repository.write("models/text.yaml", format!("{model}driver: {{kind: process, image: x}}\n"));
    repository.peat(&["model", "list"]).ended_with(2).says(&["models/text.yaml", "driver.image", "memory, timeout"]);
}

#[test]
fn a_shell_command_is_never_called_isolated_when_it_is_not() {
    let scratch = Scratch::new();
    let repository = scratch.cold_machine().repository("r");
    repository.shell_model("hello", "echo hello");
    let run = |driver| repository.peat(&["model", "method", "run", "hello", "execute", "--driver", driver]);
    run("process").ended_with(2).says(&["command/shell", "no component", "in-process"]);
    run("container").ended_with(2).says(&["command/shell", "image"]);
    assert!(repository.peat(&["run", "list", "--json"]).ok().json()["runs"].as_array().unwrap().is_empty());
}
