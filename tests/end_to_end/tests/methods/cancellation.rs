//! Runs that are stopped from outside: recorded where that is possible, with no process left, and the next one goes on.

use std::fs::File;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::subject::Subject;

on_every_driver! {
    an_interrupted_run_is_recorded_and_the_next_one_goes_on,
    a_killed_run_leaves_nothing_and_the_next_one_goes_on,
}

/// What must come, comes by then.
const PATIENCE: Duration = Duration::from_secs(60);

fn an_interrupted_run_is_recorded_and_the_next_one_goes_on(subject: &mut Subject) {
    subject.model("test-thorough", "one", &[]);
    for computing in ["true", "false"] {
        let (mut child, started) = under_way(subject, computing);
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(130), "computing: {computing}");
        all_end(&started);
        let runs = subject.checkout.peat(&["run", "list", "--json"]).ok().json();
        assert_eq!(runs["runs"][0]["status"], "interrupted", "{runs:#}");
    }
    subject.observe(&["one", "write"]).0.ok();
}

fn a_killed_run_leaves_nothing_and_the_next_one_goes_on(subject: &mut Subject) {
    subject.model("test-thorough", "one", &[]);
    for computing in ["true", "false"] {
        let (mut child, started) = under_way(subject, computing);
        child.kill().unwrap();
        child.wait().unwrap();
        all_end(&started);
    }
    subject.observe(&["one", "write"]).0.ok();
}

/// A run whose method has begun what never ends, and the processes that it started.
fn under_way(subject: &Subject, computing: &str) -> (Child, Vec<Process>) {
    let trace = subject.checkout.path().join(format!("trace-{computing}"));
    let mut command = subject.command(&["one", "stay", "--input", &format!("computing={computing}")]);
    command.env("PEAT_LOG", "debug").stderr(File::create(&trace).unwrap());
    let mut child = command.spawn().unwrap();
    let began = Instant::now();
    // The method says so by its progress, which is part of the trace.
    while !std::fs::read_to_string(&trace).unwrap().contains("staying") {
        let ended = child.try_wait().unwrap();
        assert!(
            ended.is_none() && began.elapsed() < PATIENCE,
            "{ended:?}\n{}",
            std::fs::read_to_string(&trace).unwrap()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    let started = descendants(child.id());
    (child, started)
}

#[track_caller]
fn all_end(processes: &[Process]) {
    let began = Instant::now();
    // An orphan has another parent.
    let is_there = |process: &&Process| Process::now(process.id).is_some_and(|now| now.began == process.began);
    while let Some(left) = processes.iter().find(is_there) {
        assert!(began.elapsed() < PATIENCE, "left behind: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process, known by when it started: ids are used again.
#[derive(Debug)]
struct Process {
    id: u32,
    parent: u32,
    began: String,
}

impl Process {
    /// The process of this id, unless there is none or it has ended and waits to be taken.
    fn now(id: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // After the name, which may hold anything: the state, the parent, and the start time as the 20th.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let parent = fields.get(1)?.parse().ok()?;
        (*fields.first()? != "Z").then(|| Self { id, parent, began: (*fields.get(19).unwrap_or(&"")).to_owned() })
    }
}

fn descendants(of: u32) -> Vec<Process> {
    let ids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut others: Vec<Process> = ids.filter_map(Process::now).collect();
    let mut found: Vec<Process> = Vec::new();
    loop {
        let is_one =
            |process: &mut Process| process.parent == of || found.iter().any(|known| known.id == process.parent);
        let more: Vec<Process> = others.extract_if(.., is_one).collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}
