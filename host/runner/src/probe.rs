//! `--probe`: the runner confines itself as it would for a guest, and then tries what a guest that broke out would try.
//! What is printed is what was seen, not what was asked for.

use std::fs::{self, File};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;

use peat_wasm::Confinement;
use serde_json::{Value, json};

use crate::sandbox::{self, Protections};

/// Open files that it leaves itself: what the attempts take and no more.
const OPEN_FILES: u64 = 64;

/// Confines this process by the named protections, or all of them, and prints what it can still do.
pub(crate) fn run(protections: &[String]) -> ExitCode {
    let wants = |name: &str| protections.is_empty() || protections.iter().any(|wanted| wanted == name);
    let confinement = Confinement {
        namespaces: wants("namespaces"),
        landlock: wants("landlock"),
        seccomp: wants("seccomp"),
        open_files: Some(OPEN_FILES),
        ..Confinement::default()
    };
    let environment = std::env::vars_os().count();
    let descriptors = open_descriptors();
    // What a guest would be given to read; everything else must be out of reach.
    let granted = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let outside = outside_of(&granted);
    let listener = TcpListener::bind(("127.0.0.1", 0));
    match sandbox::protect(&confinement, std::slice::from_ref(&granted)) {
        Ok(protections) => {
            let attempts = json!({
                "readGranted": tried(fs::read_dir(&granted).map(drop)),
                "readOutside": tried(fs::read_dir(&outside).map(drop)),
                "writeGranted": tried(write_in(&granted)),
                "writeOutside": tried(write_in(&std::env::temp_dir())),
                "connect": tried(listener.and_then(|listener| TcpStream::connect(listener.local_addr()?)).map(drop)),
                "socketPair": tried(UnixStream::pair().map(drop)),
                "startProgram": tried(start_program()),
                "signalOthers": tried(signal_parent()),
                "trace": tried(trace()),
                "startThread": tried(start_thread()),
            });
            print(&protections, environment, descriptors, &attempts)
        }
        Err(reason) => {
            eprintln!("peat-runner: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn print(protections: &Protections, environment: usize, descriptors: Option<usize>, attempts: &Value) -> ExitCode {
    let missing: Vec<Value> =
        protections.missing.iter().map(|(name, reason)| json!({ "name": name, "reason": reason })).collect();
    let seen = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "active": protections.active,
        "missing": missing,
        "environmentVariables": environment,
        "openDescriptors": descriptors,
        "attempts": attempts,
    });
    println!("{seen}");
    ExitCode::SUCCESS
}

/// Whether an attempt succeeded: `done`, or why not.
fn tried(attempt: io::Result<()>) -> String {
    attempt.map_or_else(|error| error.to_string(), |()| "done".to_owned())
}

/// How many file descriptors were inherited; none where the kernel does not say.
fn open_descriptors() -> Option<usize> {
    // One of them is the directory that is being read.
    fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count().saturating_sub(1))
}

/// A directory that everybody may read and that is not below `granted`.
fn outside_of(granted: &Path) -> PathBuf {
    let candidates = ["/etc", "/usr", "/proc"].map(PathBuf::from);
    candidates.into_iter().find(|directory| !directory.starts_with(granted)).unwrap_or_else(|| PathBuf::from("/"))
}

fn write_in(directory: &Path) -> io::Result<()> {
    let file = directory.join(format!(".peat-runner-probe-{}", std::process::id()));
    File::options().write(true).create_new(true).open(&file)?;
    fs::remove_file(file)
}

fn start_program() -> io::Result<()> {
    Command::new("/proc/self/exe").arg("--version").output().map(drop)
}

fn signal_parent() -> io::Result<()> {
    let parent = rustix::process::getppid().ok_or(io::ErrorKind::NotFound)?;
    Ok(rustix::process::test_kill_process(parent)?)
}

fn trace() -> io::Result<()> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: `PTRACE_TRACEME` reads none of its other arguments.
    match unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, nothing, nothing) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The one thing that must go on working: the engine has threads.
fn start_thread() -> io::Result<()> {
    let thread = thread::Builder::new().spawn(|| ())?;
    thread.join().map_err(|_| io::Error::other("the thread ended badly"))
}
