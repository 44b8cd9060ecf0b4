//! The runner, and what this kernel lets it give up.

use super::finding::{Finding, State};
use crate::isolation::{Probe, RunnerFile};

/// What each protection is good for, and what brings it where it is missing.
const PROTECTIONS: [(&str, &str, &str); 3] = [
    ("namespaces", "no network and nobody's shared memory", "allow user namespaces (sysctl user.max_user_namespaces)"),
    ("landlock", "no file but the granted directories", "use a kernel from 5.13 on with landlock among its lsm="),
    ("seccomp", "no system call that a runner does not need", "use a kernel with CONFIG_SECCOMP_FILTER"),
];

/// Looks for the runner and lets it try itself.
pub(super) async fn examine(runner: &RunnerFile, wanted: bool) -> Vec<Finding> {
    let file = match runner.find() {
        Ok(file) => file,
        Err(error) => {
            let remedy = "the drivers process and container need it";
            return vec![Finding::bad("runner", State::missing(wanted), error.to_string(), remedy)];
        }
    };
    match runner.probe().await {
        Err(reason) => {
            let detail = format!("{} does not work: {reason}", file.display());
            vec![Finding::bad("runner", State::Broken, detail, "install the peat-runner that came with this peat")]
        }
        Ok(probe) if probe.version != env!("CARGO_PKG_VERSION") => {
            let detail = format!(
                "{} is of version {}, this peat of {}",
                file.display(),
                probe.version,
                env!("CARGO_PKG_VERSION")
            );
            vec![Finding::bad("runner", State::Broken, detail, "install the peat-runner that came with this peat")]
        }
        Ok(probe) => {
            let mut findings = vec![Finding::good("runner", format!("{}, version {}", file.display(), probe.version))];
            findings.extend(PROTECTIONS.iter().map(|protection| protection_of(&probe, *protection)));
            findings.extend(confined(&probe));
            findings
        }
    }
}

fn protection_of(probe: &Probe, (name, use_of_it, remedy): (&str, &str, &str)) -> Finding {
    let subject = format!("sandbox: {name}");
    if probe.active.iter().any(|active| active == name) {
        return Finding::good(subject, use_of_it);
    }
    let reason = probe.missing.iter().find(|missing| missing.name == name).map(|missing| missing.reason.clone());
    Finding::bad(subject, State::Absent, reason.unwrap_or_else(|| "not active".to_owned()), remedy)
}

/// What a confined runner could do all the same, where everything is active that should have kept it from that.
fn confined(probe: &Probe) -> Option<Finding> {
    if !probe.missing.is_empty() {
        return None;
    }
    let done: Vec<&str> = probe.escapes().collect();
    Some(match done.as_slice() {
        [] => Finding::good("sandbox", "a confined runner was refused everything that it tried"),
        done => Finding::bad(
            "sandbox",
            State::Broken,
            format!("a confined runner could still do this: {}", done.join(", ")),
            "report it, with the version of the kernel",
        ),
    })
}
