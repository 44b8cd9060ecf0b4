//! A defect ends the process with one line and the documented exit code, not with a backtrace.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit_code::ExitCode;
use crate::failure::error_json;

static JSON: AtomicBool = AtomicBool::new(false);

/// From now on a panic of any thread ends the process.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(end));
}

/// From now on a panic is told as JSON.
pub(crate) fn tell_as_json() {
    JSON.store(true, Ordering::Relaxed);
}

fn end(panic: &PanicHookInfo<'_>) {
    let reason = match (panic.payload().downcast_ref::<&str>(), panic.payload().downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text.as_str(),
        _ => "unknown",
    };
    let place = panic.location().map_or_else(String::new, |place| format!(" at {}:{}", place.file(), place.line()));
    let reason = reason.lines().next().unwrap_or_default();
    let message = format!("internal error: {reason}{place}; this is a defect of peat, please report it");
    // The thread that panicked may be in the middle of printing: written past the buffers of stdout and stderr.
    let _ = if JSON.load(Ordering::Relaxed) {
        write(&std::io::stdout(), &format!("{}\n", error_json(ExitCode::Internal, &message)))
    } else {
        write(&std::io::stderr(), &format!("error: {message}\n"))
    };
    std::process::exit(i32::from(ExitCode::Internal.number()));
}

fn write(stream: &impl AsFd, text: &str) -> std::io::Result<()> {
    File::from(stream.as_fd().try_clone_to_owned()?).write_all(text.as_bytes())
}
