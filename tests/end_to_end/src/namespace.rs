//! Commands in namespaces of their own: a mount namespace for full and read-only file systems, a pid namespace for another
//! host. Nothing outside sees the mounts, and they go with the last process.

use std::process::Command;

use crate::{Outcome, runs};

/// The words that enter a new mount namespace here; none where the system allows none.
fn entrance() -> Option<&'static [&'static str]> {
    let ways: [&[&str]; 2] = [&["--mount"], &["--user", "--map-root-user", "--mount"]];
    ways.into_iter().find(|way| runs("unshare", &[way, &["true"][..]].concat()))
}

/// Runs a shell script in a mount namespace, with the environment of `like` and `peat` as a function of the script. None
/// where the system allows no such namespace; the caller says that it tested nothing.
pub fn in_mount_namespace(like: &Command, script: &str) -> Option<Outcome> {
    let entrance = entrance()?;
    let mut command = Command::new("unshare");
    command.args(entrance).args(["sh", "-eu", "-c"]);
    let peat = like.get_program().to_string_lossy();
    // The function never ends the script: what the binary answers is what is tested.
    command.arg(format!(
        "peat() {{ echo \"$ peat $*\"; code=0; '{peat}' \"$@\" || code=$?; echo \"exit $code\"; }}\n{script}"
    ));
    command.env_clear();
    for (name, value) in like.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    if let Some(directory) = like.get_current_dir() {
        command.current_dir(directory);
    }
    let output = command.output().expect("unshare has just been run");
    Some(Outcome::of(format!("… in a mount namespace:\n{script}"), output))
}

/// The command as a process of another host would be: in a pid namespace of its own, so that it cannot tell who of the
/// others is dead. It dies with the process that is answered. None where the system allows no such namespace.
pub fn in_pid_namespace(like: &Command) -> Option<Command> {
    const SEPARATE: [&str; 4] = ["--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"];
    let ways: [&[&str]; 2] = [&[], &["--user", "--map-root-user"]];
    let entrance = ways.into_iter().map(|way| [way, &SEPARATE[..]].concat());
    let entrance = entrance.into_iter().find(|way| runs("unshare", &[&way[..], &["true"]].concat()))?;
    let mut command = Command::new("unshare");
    command.args(entrance).arg(like.get_program()).args(like.get_args()).env_clear();
    for (name, value) in like.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    if let Some(directory) = like.get_current_dir() {
        command.current_dir(directory);
    }
    Some(command)
}
