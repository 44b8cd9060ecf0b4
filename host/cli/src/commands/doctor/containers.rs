//! What runs containers.

use peat_core::repository::ContainerRuntime;

use super::finding::{Finding, State};
use crate::isolation::{Attempt, Runtimes};

const REMEDY: &str = "install podman; where cgroups have version 1 (see /sys/fs/cgroup), runc too";

/// Tries every way to run a container; `wanted` says by which runtime the repository runs some, where it says that.
pub(super) async fn examine(runtimes: &Runtimes, wanted: &[Option<ContainerRuntime>]) -> Vec<Finding> {
    let (mut attempts, mut working) = (Vec::new(), Vec::new());
    for runtime in ContainerRuntime::ALL {
        match runtimes.look(Some(runtime)).await {
            Ok(search) => {
                attempts.extend(search.attempts);
                working.extend(search.found);
            }
            Err(error) => {
                let state = State::missing(!wanted.is_empty());
                return vec![Finding::bad(
                    "containers",
                    state,
                    error.to_string(),
                    "the driver container needs the runner",
                )];
            }
        }
    }
    let works = |runtime| working.iter().any(|found| found.runtime == runtime);
    let lacks = |runtime| {
        let asked_for = wanted.contains(&Some(runtime)) || (wanted.contains(&None) && working.is_empty());
        asked_for && !works(runtime)
    };
    let mut findings: Vec<Finding> = attempts
        .iter()
        .map(|attempt| finding(attempt, lacks(attempt.runtime), !works(attempt.runtime) && working.is_empty()))
        .collect();
    for found in working.iter().filter(|found| !(found.limits.memory && found.limits.cpus && found.limits.pids)) {
        findings.push(Finding::bad(
            format!("containers: limits of {}", found.runtime.as_str()),
            State::Absent,
            "no cgroup controllers: the options memory, cpus and pids cannot be had; the runner limits its own memory",
            "give the user cgroup controllers (systemd: Delegate=yes), or run as root",
        ));
    }
    findings
}

fn finding(attempt: &Attempt, is_lacked: bool, nothing_works: bool) -> Finding {
    let subject = format!("containers: {}", attempt.name());
    match &attempt.problem {
        None => Finding::good(subject, "runs the runner, without a network and with nothing to write to"),
        Some(problem) => Finding {
            subject,
            state: State::missing(is_lacked),
            detail: problem.clone(),
            remedy: (is_lacked || nothing_works).then(|| match attempt.runtime {
                ContainerRuntime::Docker if is_lacked => {
                    "install docker and start its daemon, or choose podman".to_owned()
                }
                _ => REMEDY.to_owned(),
            }),
        },
    }
}
