//! What runs containers.

use super::finding::{Finding, State};
use crate::isolation::Runtimes;

/// Tries every way to run a container.
pub(super) async fn examine(runtimes: &Runtimes, wanted: bool) -> Vec<Finding> {
    let search = match runtimes.look(None).await {
        Ok(search) => search,
        Err(error) => {
            let remedy = "the driver container needs the runner";
            return vec![Finding::bad("containers", State::missing(wanted), error.to_string(), remedy)];
        }
    };
    let works = search.found.is_some();
    let mut findings: Vec<Finding> = search
        .attempts
        .iter()
        .map(|attempt| {
            let subject = format!("containers: {}", attempt.name());
            match &attempt.problem {
                None => Finding::good(subject, "runs the runner, without a network and with nothing to write to"),
                Some(problem) => Finding {
                    subject,
                    state: State::missing(wanted && !works),
                    detail: problem.clone(),
                    remedy: (!works).then(|| {
                        "install podman; where cgroups have version 1 (see /sys/fs/cgroup), runc too".to_owned()
                    }),
                },
            }
        })
        .collect();
    if let Some(found) = &search.found
        && !(found.limits.memory && found.limits.cpus && found.limits.pids)
    {
        findings.push(Finding::bad(
            "containers: limits",
            State::Absent,
            "no cgroup controllers: the options memory, cpus and pids cannot be had; the runner limits its own memory",
            "give the user cgroup controllers (systemd: Delegate=yes), or run as root",
        ));
    }
    findings
}
