//! What the tests of drivers need: the runner, containers where there are any, and a look at the processes of this machine.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::{Scratch, peat_binary, runs};

/// How long something that must come to its end may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The runner beside the binary under test.
pub fn runner() -> PathBuf {
    let runner = peat_binary().with_file_name("peat-runner");
    assert!(runner.is_file(), "{} is missing; run `cargo xtask runner`", runner.display());
    runner
}

/// What runs containers here: the words of a `podman` or `docker` that works. None where nothing does; the caller says that
/// it tested nothing.
pub fn containers() -> Option<&'static str> {
    static FOUND: OnceLock<Option<&'static str>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        runner();
        let scratch = Scratch::new();
        let seen = scratch.machine().peat(scratch.path(), &["doctor", "--json"]).json();
        let findings = seen["findings"].as_array().cloned().unwrap_or_default();
        ["podman", "docker"].into_iter().find(|runtime| {
            let subject = format!("containers: {runtime}");
            let is_it = |name: &str| name == subject || name.starts_with(&format!("{subject} "));
            findings.iter().any(|found| found["subject"].as_str().is_some_and(is_it) && found["state"] == "good")
        })
    })
}

/// The containers that the process `peat` with this id has made.
pub fn containers_of(runtime: &str, process: u32) -> Vec<String> {
    let label = format!("label=peat.process={process}");
    let output = Command::new(runtime).args(["ps", "--all", "--format", "{{.Names}}", "--filter", &label]).output();
    let output = output.expect("the runtime has been run before");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// An image with a shell in it that comes from nowhere; none where there is no static busybox.
pub fn shell_image(runtime: &str) -> Option<&'static str> {
    const IMAGE: &str = "localhost/peat-test-shell:1";
    static MADE: OnceLock<Option<&'static str>> = OnceLock::new();
    *MADE.get_or_init(|| {
        let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|file| runs(file, &["true"]))?;
        let scratch = Scratch::new();
        let bin = scratch.path().join("bin");
        std::fs::create_dir_all(&bin).expect("the scratch directory is ours");
        std::fs::create_dir_all(scratch.path().join("tmp")).expect("the scratch directory is ours");
        std::fs::copy(busybox, bin.join("busybox")).expect("it was just run");
        for name in ["sh", "cat", "echo", "ls", "env", "sleep", "touch", "id", "wc", "dd", "ip"] {
            std::os::unix::fs::symlink("busybox", bin.join(name)).expect("the scratch directory is ours");
        }
        let tar = scratch.path().join("image.tar");
        let root = scratch.path().to_str().expect("its path is text");
        let packed = runs("tar", &["-C", root, "-cf", tar.to_str()?, "bin", "tmp"]);
        // A busybox that needs libraries does not run in there.
        let made = packed && runs(runtime, &["import", tar.to_str()?, IMAGE]);
        made.then_some(IMAGE)
    })
}

/// The children of a process, with their command lines.
pub fn children_of(parent: u32) -> Vec<(u32, String)> {
    let processes = std::fs::read_dir("/proc").expect("Linux shows its processes");
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let of_parent = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name before may hold anything; the fields after its bracket do not.
        let after = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        after.split(' ').nth(1) == Some(parent.to_string().as_str())
    };
    ids.filter(of_parent).map(|id| (id, command_line(id))).collect()
}

/// Whether a process is there and is no zombie.
pub fn is_running(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Waits until something is so, and fails the test when that does not come.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn command_line(process: u32) -> String {
    let words = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ").trim().to_owned()
}
