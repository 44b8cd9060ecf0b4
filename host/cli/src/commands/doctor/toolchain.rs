//! What authors of extensions in Rust need. Whoever only runs models needs nothing of it.

use std::process::{Command, Stdio};

use super::finding::{Finding, State};

/// The target that components are built for.
const TARGET: &str = "wasm32-unknown-unknown";

/// Asks the compiler where the libraries of the target are.
pub(super) fn examine() -> Finding {
    let subject = "toolchain";
    let asked = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let remedy = format!("to write extensions in Rust: install it with rustup, then `rustup target add {TARGET}`");
    match asked {
        Err(_) => {
            Finding::bad(subject, State::Absent, "there is no rustc; only authors of extensions need one", remedy)
        }
        Ok(output) => {
            let directory = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if output.status.success() && std::path::Path::new(&directory).is_dir() {
                Finding::good(subject, format!("rustc builds for {TARGET}"))
            } else {
                let detail = format!("rustc does not build for {TARGET}; only authors of extensions need that");
                Finding::bad(subject, State::Absent, detail, remedy)
            }
        }
    }
}
