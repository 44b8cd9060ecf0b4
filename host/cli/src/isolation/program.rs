//! Other programs of this machine: finding them, and running them to their end.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::guarded::{Guard, Guarded};
use super::streams::Streams;
use crate::child_process::{ChildProcess, Ended, WithoutHost};

/// Bytes of output that are kept: what is asked of programs here is a line or two.
const OUTPUT_BYTES_MAX: u64 = 1024 * 1024;

/// Finds a program as a shell would.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).filter(|directory| directory.is_absolute()).map(|directory| directory.join(name)).find(
        |file| file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0),
    )
}

/// Changes when a file does: cheap, and good enough for what nobody forges against himself.
pub(super) fn fingerprint(file: &Path) -> String {
    let of = |metadata: Metadata| {
        format!("{}:{}:{}.{}", metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec())
    };
    format!("{}@{}", file.display(), file.metadata().map(of).unwrap_or_default())
}

/// Runs a program to its end and answers what it printed; the error is its exit status and what it complained of. Dropping
/// the future kills it.
pub(super) async fn output(command: Command, input: &[u8], timeout: Duration) -> Result<String, String> {
    guarded_output(command, None, input, timeout).await
}

/// The same for a program that stands for something else.
pub(super) async fn guarded_output(
    mut command: Command,
    guard: Option<Guard>,
    input: &[u8],
    timeout: Duration,
) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = ChildProcess::start(command, WithoutHost::Ends);
    let child = child.map_err(|error| format!("{name} cannot be started: {error}"))?;
    let mut process = match guard {
        None => Guarded::alone(child),
        Some(guard) => Guarded::with(child, guard),
    };
    let streams = Streams::of(&mut process, &name).map_err(|error| error.to_string())?;
    let Streams { input: mut writer, output, mut complaint } = streams;
    let work = async {
        let writing = async move {
            // A program that wants no input says why in its own words.
            let _ = writer.write_all(input).await;
        };
        let mut printed = Vec::new();
        let mut output = output.take(OUTPUT_BYTES_MAX);
        let ((), read) = tokio::join!(writing, output.read_to_end(&mut printed));
        read.map_err(|error| format!("what {name} prints cannot be read: {error}"))?;
        match process.child.end().await {
            Ok(Ended::Status(0)) => Ok(String::from_utf8_lossy(&printed).trim().to_owned()),
            ended => Err(complaint.after(&ended).await),
        }
    };
    tokio::time::timeout(timeout, work).await.unwrap_or_else(|_| Err(format!("no end after {} s", timeout.as_secs())))
}
