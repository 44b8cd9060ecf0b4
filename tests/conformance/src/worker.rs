//! Processes that work on a store, to be killed.

use std::io::Read;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running worker. Killed when it is dropped.
#[derive(Debug)]
pub struct Worker {
    child: Child,
    stdout: Option<ChildStdout>,
}

impl Worker {
    /// Starts `program`, the path of `store-worker`.
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child =
            Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = child.stdout.take();
        Self { child, stdout }
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the first line.
    pub fn first_line(&mut self) -> String {
        let mut line = Vec::new();
        let mut byte = [0];
        let stdout = self.stdout.as_mut().unwrap();
        while stdout.read(&mut byte).unwrap() == 1 && byte[0] != b'\n' {
            line.push(byte[0]);
        }
        String::from_utf8(line).unwrap()
    }

    /// Sends SIGKILL and answers the lines it had printed. Fails when it had ended by itself.
    pub fn kill(mut self) -> Vec<String> {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the worker ended by itself: {status}");
        }
        self.child.kill().unwrap();
        self.lines()
    }

    /// Waits for its end and answers the lines it printed. Fails when it failed.
    pub fn finish(mut self) -> Vec<String> {
        let lines = self.lines();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the worker ended with {status}");
        lines
    }

    /// A last line that was cut short is not one.
    fn lines(&mut self) -> Vec<String> {
        let mut text = String::new();
        self.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(str::to_owned).collect()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
