//! `peat-runner`: executes guests outside of `peat`, in a process that has given up everything else.
//!
//! Started without arguments it speaks the runner protocol over its standard streams (`peat-wasm` has both ends of it).
//! `--probe` shows what this kernel lets it give up, and whether that holds; `peat doctor` asks for it. Deliberately absent:
//! a compiler, files but those it is told to read, and any decision.

#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod sandbox;

use std::process::ExitCode;

const USAGE: &str = "\
peat-runner             executes a guest for `peat`, which starts it
peat-runner --version   prints its version
peat-runner --probe [PROTECTION…]
                        gives up all that it can (or these alone: namespaces, landlock, seccomp), tries what must be
                        refused then, and prints as JSON what became of it
";

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        None => peat_wasm::guest_process::main(sandbox::confine),
        Some((word, [])) if word == "--version" => {
            println!("peat-runner {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Some((word, protections)) if word == "--probe" => probe::run(protections),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!("peat-runner runs on Linux alone\n{USAGE}");
    ExitCode::FAILURE
}
