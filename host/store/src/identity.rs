//! Who this process is, and whether another one is certainly dead.
//!
//! Read from the kernel, never guessed: what cannot be read makes the answer "not certain".

use std::io;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use peat_core::lease::Holder;
use peat_core::ports::HolderIdentity;
use rustix::process::{Pid, getpid, test_kill_process};

/// Longest command shown to people, in characters.
const COMMAND_CHARACTERS: usize = 120;

/// Position of the start time in `/proc/PID/stat`, counted after the command's closing parenthesis (field 22 of all).
const START_FIELD: usize = 19;

/// Position of the state there (field 3 of all).
const STATE_FIELD: usize = 0;

/// The identity of this process, read once.
#[derive(Debug, Clone)]
pub struct ProcessIdentity {
    holder: Holder,
}

impl ProcessIdentity {
    /// Reads who this process is. `command` says what runs, for people: it must hold no secret, so the words of the
    /// command but not the values of its arguments. Fails where `/proc` is not that of this process.
    pub fn new(command: &str) -> io::Result<Self> {
        let proc = Dir::open_ambient_dir("/proc", ambient_authority())?;
        let pid = getpid();
        let own = proc.read_link_contents("self")?;
        if own.to_str() != Some(&pid.as_raw_nonzero().to_string()) {
            return Err(io::Error::other("/proc belongs to another pid namespace"));
        }
        let start = read_stat(&proc, pid)?.start;
        let holder = Holder {
            host: shown(&rustix::system::uname().nodename().to_string_lossy()),
            boot_id: proc.read_to_string("sys/kernel/random/boot_id")?.trim().to_owned(),
            pid_namespace: proc.read_link_contents("self/ns/pid")?.to_string_lossy().into_owned(),
            pid: pid.as_raw_nonzero().get().unsigned_abs(),
            process_start: start,
            command: shown(command),
        };
        Ok(Self { holder })
    }
}

impl HolderIdentity for ProcessIdentity {
    fn current(&self) -> Holder {
        self.holder.clone()
    }

    fn is_dead(&self, holder: &Holder) -> bool {
        let same_kernel = !holder.boot_id.is_empty() && holder.boot_id == self.holder.boot_id;
        if !same_kernel || holder.pid_namespace != self.holder.pid_namespace {
            return false;
        }
        let Some(pid) = i32::try_from(holder.pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw) else {
            return false;
        };
        // Asked first, because a mount option may hide the directory of a process that lives.
        if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            return true;
        }
        let Ok(proc) = Dir::open_ambient_dir("/proc", ambient_authority()) else { return false };
        match read_stat(&proc, pid) {
            Ok(stat) => stat.start != holder.process_start || matches!(stat.state, 'Z' | 'X'),
            Err(_) => false,
        }
    }
}

/// What is read of `/proc/PID/stat`.
struct Stat {
    state: char,
    start: u64,
}

fn read_stat(proc: &Dir, pid: Pid) -> io::Result<Stat> {
    let text = proc.read_to_string(format!("{}/stat", pid.as_raw_nonzero()))?;
    parse_stat(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/PID/stat is not as expected"))
}

/// The command in parentheses may hold spaces and parentheses itself: fields count from the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, fields) = text.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    Some(Stat { state: fields.get(STATE_FIELD)?.chars().next()?, start: fields.get(START_FIELD)?.parse().ok()? })
}

/// `text` without control characters, cut to a bounded length.
fn shown(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(COMMAND_CHARACTERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn identity_of(pid: u32) -> Holder {
        let own = ProcessIdentity::new("test").unwrap().current();
        let proc = Dir::open_ambient_dir("/proc", ambient_authority()).unwrap();
        let start = read_stat(&proc, Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()).unwrap().start;
        Holder { pid, process_start: start, ..own }
    }

    #[test]
    fn a_living_process_is_not_dead_and_a_killed_one_is_even_before_it_is_reaped() {
        let identity = ProcessIdentity::new("peat test").unwrap();
        assert!(!identity.is_dead(&identity.current()));
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let holder = identity_of(child.id());
        assert!(!identity.is_dead(&holder));
        child.kill().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while !identity.is_dead(&holder) {
            assert!(std::time::Instant::now() < deadline, "a killed child still counts as alive");
        }
        child.wait().unwrap();
        assert!(identity.is_dead(&holder));
    }

    #[test]
    fn a_reused_pid_is_dead_and_what_is_not_certain_is_not() {
        let identity = ProcessIdentity::new("peat test").unwrap();
        let own = identity.current();
        assert!(identity.is_dead(&Holder { process_start: own.process_start + 1, ..own.clone() }));
        let gone = Holder { pid: 4_194_304, ..own.clone() };
        assert!(identity.is_dead(&gone));
        for unsure in [
            Holder { boot_id: "another".into(), ..gone.clone() },
            Holder { boot_id: String::new(), ..gone.clone() },
            Holder { pid_namespace: "pid:[1]".into(), ..gone.clone() },
            Holder { pid: 0, ..own.clone() },
            Holder { pid: u32::MAX, ..own.clone() },
        ] {
            assert!(!identity.is_dead(&unsure), "{unsure:?}");
        }
    }

    #[test]
    fn a_command_with_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20 21";
        let stat = parse_stat(text).unwrap();
        assert_eq!((stat.state, stat.start), ('S', 4242));
        assert!(parse_stat("7 (a").is_none() && parse_stat("").is_none());
    }

    #[test]
    fn the_command_is_bounded_and_has_no_control_characters() {
        let command = ProcessIdentity::new(&format!("peat\n\u{1b}[31m{}", "x".repeat(4096))).unwrap().current().command;
        assert!(command.chars().count() <= COMMAND_CHARACTERS && !command.contains(['\n', '\u{1b}']), "{command}");
    }
}
