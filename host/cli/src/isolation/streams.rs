//! The standard streams of a runner.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use peat_wasm::LaunchError;
use tokio::net::unix::pipe::{Receiver, Sender};

use super::guarded::Guarded;
use crate::child_process::Ended;

/// What is kept of the end of standard error, in bytes: enough for a reason, too little to flood a message.
const COMPLAINT_BYTES_MAX: usize = 2048;

/// How long the rest of standard error is waited for after the end: it lies in a pipe.
const REST_TIMEOUT: Duration = Duration::from_secs(1);

/// Input and output of a child, and the end of what it complains of.
pub(super) struct Streams {
    pub(super) input: Sender,
    pub(super) output: Receiver,
    pub(super) complaint: Complaint,
}

impl Streams {
    /// Takes the three pipes of a child that was just started.
    pub(super) fn of(process: &mut Guarded, program: &str) -> Result<Self, LaunchError> {
        let failed = |error: io::Error| LaunchError(format!("{program} cannot be spoken to: {error}"));
        let none = || failed(io::Error::other("it has no pipes"));
        let child = &mut process.child;
        let input = Sender::from_file(child.stdin.take().ok_or_else(none)?).map_err(failed)?;
        let output = Receiver::from_file(child.stdout.take().ok_or_else(none)?).map_err(failed)?;
        let complaint = Complaint::read(child.stderr.take().ok_or_else(none)?).map_err(failed)?;
        Ok(Self { input, output, complaint })
    }
}

/// The end of what a child printed on standard error.
pub(super) struct Complaint {
    coming: Option<oneshot::Receiver<String>>,
    text: String,
}

impl Complaint {
    fn read(stderr: File) -> io::Result<Self> {
        let (sender, coming) = oneshot::channel();
        thread::Builder::new().name("runner-stderr".to_owned()).spawn(move || {
            // Nobody is left to hear it when the runner was given up.
            let _ = sender.send(last_of(stderr));
        })?;
        Ok(Self { coming: Some(coming), text: String::new() })
    }

    /// How a child ended, with what it said of it.
    pub(super) async fn after(&mut self, ended: &io::Result<Ended>) -> String {
        if let Some(coming) = &mut self.coming {
            if let Ok(Ok(text)) = tokio::time::timeout(REST_TIMEOUT, coming).await {
                self.text = text;
            }
            self.coming = None;
        }
        let how = match ended {
            Ok(Ended::Status(status)) => format!("exit status {status}"),
            Ok(Ended::Signal(signal)) => format!("killed by signal {signal}"),
            Err(error) => error.to_string(),
        };
        if self.text.is_empty() { how } else { format!("{how}: {}", self.text) }
    }
}

/// The last lines of a stream as one line.
fn last_of(mut stream: impl io::Read) -> String {
    let mut kept = VecDeque::with_capacity(COMPLAINT_BYTES_MAX);
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        kept.extend(&buffer[..length]);
        kept.drain(..kept.len().saturating_sub(COMPLAINT_BYTES_MAX));
    }
    let text = String::from_utf8_lossy(kept.make_contiguous()).into_owned();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_the_end_is_kept() {
        let flood = format!("{}\nthe  reason\n", "x".repeat(100_000));
        let kept = last_of(flood.as_bytes());
        assert!(kept.len() <= COMPLAINT_BYTES_MAX && kept.ends_with("x the reason"), "{kept}");
        assert_eq!(last_of(&b""[..]), "");
    }
}
