//! `command/shell` with the driver `container`: the same data as on the host, and nothing of the host to touch.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::process::Stdio;

use peat_end_to_end_tests::{
    Checkout, Outcome, Scratch, children_of, containers, containers_of, eventually, is_running, shell_image,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The runtime and the image; none where something of it cannot be had, which is said.
fn image() -> Option<(&'static str, &'static str)> {
    let found = containers().and_then(|runtime| Some((runtime, shell_image(runtime)?)));
    if found.is_none() {
        eprintln!("not tested: no container can be run on this machine, or there is no static busybox");
    }
    found
}

/// A repository whose shell commands run in the image.
fn repository(scratch: &Scratch, image: &str, more: &str) -> Checkout {
    let repository = scratch.machine().repository("r");
    let config = repository.read("peat.yaml");
    repository.write(
        "peat.yaml",
        format!("{config}driver: container\ndrivers: {{container: {{image: \"{image}\"{more}}}}}\n"),
    );
    repository.write("data/numbers.csv", "1\n2\n3\n");
    repository
}

fn execute(repository: &Checkout, model: &str, more: &[&str]) -> Outcome {
    repository.peat(&[&["model", "method", "run", model, "execute", "--json"][..], more].concat())
}

fn stdout(repository: &Checkout, model: &str) -> String {
    repository.peat(&["data", "get", model, "stdout"]).ok().stdout
}

#[test]
fn a_command_reads_the_repository_and_its_data_are_those_of_the_host() {
    let Some((_, image)) = image() else { return };
    let scratch = Scratch::new();
    let repository = repository(&scratch, image, "");
    repository.shell_model("count", "wc -l < numbers.csv; echo done >&2; exit 3");
    let model = repository.read("models/count.yaml");
    repository.write("models/count.yaml", model.replace("arguments:\n", "arguments:\n  workingDirectory: data\n"));
    let digests = |run: &Value| -> Vec<Value> {
        run["run"]["data"].as_array().unwrap().iter().map(|data| data["sha256"].clone()).collect()
    };
    let inside = execute(&repository, "count", &[]).ended_with(1).json();
    assert_eq!(inside["run"]["driver"], "container", "{inside:#}");
    // Of a failed run, and so not the latest.
    let written = repository.peat(&["data", "get", "count", "stdout", "--version", "1"]).ok();
    assert_eq!(written.stdout, "3\n");
    let log = repository.peat(&["run", "logs", inside["run"]["id"].as_str().unwrap()]).ok();
    assert_eq!(log.stdout.lines().filter(|line| line.contains("done")).count(), 1, "{log}");
    let outside = execute(&repository, "count", &["--driver", "in-process"]).ended_with(1).json();
    assert_eq!(digests(&inside), digests(&outside));
}

#[test]
fn a_command_has_no_network_no_foreign_file_and_nothing_to_write_to() {
    let Some((_, image)) = image() else { return };
    let scratch = Scratch::new();
    let repository = repository(&scratch, image, "");
    let look = "ls /; ls /sys/class/net; touch /repository/new 2>&1; touch /new 2>&1; touch /tmp/new && echo scratch; \
                cat /proc/self/status | while read -r key value; do case $key in CapEff:|NoNewPrivs:) echo $key $value;; esac; done; \
                env";
    repository.shell_model("look", look);
    let model = repository.read("models/look.yaml");
    repository
        .write("models/look.yaml", model.replace("arguments:\n", "arguments:\n  environment: [PEAT_TEST_SHOWN]\n"));
    let mut command = repository.command(&["model", "method", "run", "look", "execute"]);
    command.env("PEAT_TEST_SHOWN", "shown").env("PEAT_TEST_HIDDEN", "hidden").env("HTTP_PROXY", "http://proxy.invalid");
    Outcome::of("run look".to_owned(), command.output().unwrap()).ok();
    let seen = stdout(&repository, "look");
    assert!(seen.contains("/repository/new: Read-only file system"), "{seen}");
    assert!(seen.contains("/new: Read-only file system"), "{seen}");
    assert!(seen.contains("scratch\n"), "{seen}");
    assert!(seen.contains("CapEff: 0000000000000000\n") && seen.contains("NoNewPrivs: 1\n"), "{seen}");
    assert!(seen.contains("PEAT_TEST_SHOWN=shown\n"), "{seen}");
    for hidden in ["home\n", "eth0", "hidden", "proxy.invalid", "PEAT_HELD"] {
        assert!(!seen.contains(hidden), "{hidden}: {seen}");
    }
    assert!(!repository.path().join("new").exists());
}

#[test]
fn a_command_that_takes_more_memory_than_it_may_is_ended() {
    let Some((_, image)) = image() else { return };
    let scratch = Scratch::new();
    let repository = repository(&scratch, image, ", memory: 64MiB");
    repository.shell_model("greedy", "dd if=/dev/zero of=/tmp/large bs=1048576 count=512 2>&1 && echo it fits");
    let outcome = execute(&repository, "greedy", &[]);
    if outcome.stdout.contains("cannot limit") {
        eprintln!("not tested: containers cannot be limited on this machine");
        return;
    }
    outcome.ended_with(1);
}

#[test]
fn what_cannot_be_run_is_named() {
    let Some((_, image)) = image() else { return };
    let scratch = Scratch::new();
    let repository = repository(&scratch, image, "");
    repository.shell_model("hello", "echo hello");
    let config = repository.read("peat.yaml");
    repository.write("peat.yaml", config.replace(image, "localhost/peat-no-such-image:1"));
    let outcome = execute(&repository, "hello", &[]).ended_with(1).json();
    assert!(outcome["error"]["message"].as_str().unwrap().contains("could not be run"), "{outcome:#}");
    let log = repository.peat(&["run", "logs", outcome["run"]["id"].as_str().unwrap()]).ok();
    assert!(log.stdout.contains("peat-no-such-image"), "{log}");
}

#[test]
fn a_command_is_gone_with_its_deadline_an_interrupt_and_its_host() {
    let Some((runtime, image)) = image() else { return };
    let scratch = Scratch::new();
    let repository = repository(&scratch, image, "");
    repository.shell_model("sleep", "echo before; sleep 3000");
    let timed = execute(&repository, "sleep", &["--timeout", "2s"]).ended_with(1).json();
    assert!(timed["error"]["message"].as_str().unwrap().contains("longer than"), "{timed:#}");
    for ending in [Signal::INT, Signal::KILL] {
        let mut command = repository.command(&["model", "method", "run", "sleep", "execute"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let process = child.id();
        let children = eventually("a container that runs", || {
            let running = containers_of(runtime, process);
            (!running.is_empty()).then(|| children_of(process))
        });
        kill_process(Pid::from_child(&child), ending).unwrap();
        child.wait().unwrap();
        for (left, _) in children {
            eventually("the end of what the run had started", || (!is_running(left)).then_some(()));
        }
        eventually("the end of the container", || containers_of(runtime, process).is_empty().then_some(()));
    }
}
