//! Processes that a command leaves behind, for what nobody waits for.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::Failure;

/// Starts this program again with these arguments, in this repository. Nobody waits for it: it becomes a child of the system's
/// first process when this one ends.
pub(super) fn leave_behind(arguments: &[&str], repository: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::file("start", Path::new("/proc/self/exe"), source);
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(arguments).args(["--quiet", "--repo"]).arg(repository);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(failed)?;
    Ok(())
}

/// A file that is to be locked.
pub(super) fn lock_file(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(|source| Failure::file("open", path, source))
}

/// The lock on a file, with the id of this process in it for people; none while another process has it.
pub(super) fn take_lock(path: &Path) -> Result<Option<File>, Failure> {
    let mut file = lock_file(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(source)) => return Err(Failure::file("lock", path, source)),
    }
    let _ = file.set_len(0).and_then(|()| file.write_all(std::process::id().to_string().as_bytes()));
    Ok(Some(file))
}

/// Makes this process one that is in nobody's way: a session of its own, the lowest priority, none of the files that were
/// open when it was started.
pub(crate) fn become_background() {
    // Each of these may fail without harm: it is then what it was.
    let _ = rustix::process::setsid();
    let _ = rustix::process::nice(19);
    close_inherited();
}

/// Whoever started the command may have left descriptors open (a pipe that somebody reads to its end, a lock): they must not
/// live on with this process.
fn close_inherited() {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return };
    let descriptors: Vec<i32> = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // The listing had one of its own, which is closed by now.
    let is_open = |descriptor: &i32| std::fs::symlink_metadata(format!("/proc/self/fd/{descriptor}")).is_ok();
    for descriptor in descriptors.into_iter().filter(|descriptor| *descriptor > 2).filter(is_open) {
        // SAFETY: this is the first thing the process does. It has opened nothing but the listing above, so nobody owns any
        // of these descriptors.
        unsafe { rustix::io::close(descriptor) };
    }
}
