//! Choosing a Rust toolchain that can build for wasm, on any machine.
//!
//! In this order, and saying why an earlier one was not taken: the wasm target of the active toolchain; `rustup target
//! add`; Debian's own toolchain, which builds the standard library from source.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::{process, workspace};

/// The target of every guest.
pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// What Debian calls the parts of its toolchain.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// How long `rustup target add` may take: without a way out it would try for minutes.
const RUSTUP_TIMEOUT: Duration = Duration::from_secs(90);

/// File that remembers why rustup cannot add the target, so that only the first build waits for it.
const RUSTUP_RECORD: &str = "rustup-target-add-failed";

/// Variables by which the cargo that runs this command, or a person, steers another toolchain than the chosen one.
const STEERING: [&str; 8] = [
    "RUSTC",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "CARGO",
    "CARGO_TARGET_DIR",
    // `cargo run` points it at the libraries of its own compiler.
    "LD_LIBRARY_PATH",
];

/// Beginnings of such variables.
const STEERING_PREFIXES: [&str; 5] =
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_ENCODED_", "CARGO_BUILD_", "CARGO_PROFILE_"];

/// A toolchain that can build guests.
#[derive(Debug)]
pub(super) struct Toolchain {
    /// For people: which one and why.
    pub(super) choice: String,
    cargo: PathBuf,
    environment: Vec<(&'static str, OsString)>,
    arguments: Vec<&'static str>,
}

impl Toolchain {
    /// The first that works, or the one named `wanted`. What is learned about the network is remembered in `directory`.
    pub(super) fn choose(wanted: Option<&str>, directory: &Path) -> Result<Self> {
        match wanted {
            None => Self::first(&directory.join(RUSTUP_RECORD)),
            Some("active") => match rustc_with_target() {
                Some(rustc) => Ok(Self::active(format!("the active toolchain, as asked ({rustc})"))),
                None => bail!("the active toolchain has no {TARGET}; add it with `rustup target add {TARGET}`"),
            },
            Some("debian") => {
                if !debian_is_complete() {
                    install_debian("it was asked for")?;
                }
                Ok(Self::debian("Debian's toolchain, as asked, building std from source".to_owned()))
            }
            Some(other) => bail!("there is no toolchain {other:?}; there are active, debian"),
        }
    }

    fn first(record: &Path) -> Result<Self> {
        if let Some(rustc) = rustc_with_target() {
            return Ok(Self::active(format!("the active toolchain, which has {TARGET} ({rustc})")));
        }
        let complete = debian_is_complete();
        let why_not_rustup = match std::fs::read_to_string(record) {
            Ok(reason) if complete => format!("{reason}, as found earlier ({} says so)", record.display()),
            _ => match add_with_rustup() {
                Ok(()) => return Ok(Self::active(format!("the active toolchain, {TARGET} added with rustup"))),
                Err(reason) => {
                    let reason = format!("{reason:#}");
                    std::fs::write(record, &reason)?;
                    reason
                }
            },
        };
        let reasons = format!("the active toolchain has no {TARGET}; rustup: {why_not_rustup}");
        if complete {
            return Ok(Self::debian(format!("Debian's toolchain, building std from source ({reasons})")));
        }
        install_debian(&reasons)?;
        Ok(Self::debian(format!("Debian's toolchain, just installed, building std from source ({reasons})")))
    }

    /// A cargo command that builds guests; the caller adds packages and directories.
    pub(super) fn cargo_build(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if STEERING.contains(&text.as_ref()) || STEERING_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command.arg("build").args(["--profile", "guest", "--target", TARGET]).args(&self.arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn active(choice: String) -> Self {
        let cargo = process::cargo().get_program().into();
        Self { choice, cargo, environment: Vec::new(), arguments: Vec::new() }
    }

    fn debian(choice: String) -> Self {
        Self {
            choice,
            cargo: PathBuf::from("/usr/bin/cargo"),
            environment: vec![
                ("RUSTC", OsString::from("/usr/bin/rustc")),
                // `-Z build-std` is unstable; the standard library is Debian's own source.
                ("RUSTC_BOOTSTRAP", OsString::from("1")),
                ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", OsString::from("wasm-ld")),
            ],
            arguments: vec!["-Z", "build-std=std,panic_abort"],
        }
    }
}

/// The version of the active rustc, when it has the target's standard library.
fn rustc_with_target() -> Option<String> {
    // In the workspace, whose rust-toolchain.toml decides which one is active.
    let rustc = || {
        let mut command = Command::new("rustc");
        command.current_dir(workspace::root());
        command
    };
    let libraries = output(rustc().args(["--print", "target-libdir", "--target", TARGET])).ok()?;
    let has_core = std::fs::read_dir(libraries.trim())
        .ok()?
        .filter_map(|entry| entry.ok())
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libcore"));
    if !has_core {
        return None;
    }
    output(rustc().arg("--version")).ok().map(|version| version.trim().to_owned())
}

fn add_with_rustup() -> Result<()> {
    let mut command = Command::new("rustup");
    command
        .args(["target", "add", TARGET])
        .current_dir(workspace::root())
        .env("RUSTUP_MAX_RETRIES", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().context("it is not there")?;
    let started = Instant::now();
    loop {
        match child.try_wait()? {
            Some(status) if status.success() => break,
            Some(status) => bail!("`rustup target add {TARGET}` ended with {status}"),
            None if started.elapsed() > RUSTUP_TIMEOUT => {
                child.kill()?;
                child.wait()?;
                bail!("`rustup target add {TARGET}` took longer than {} s", RUSTUP_TIMEOUT.as_secs());
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    if rustc_with_target().is_none() {
        bail!("it added {TARGET} to another toolchain than the active one");
    }
    Ok(())
}

fn debian_is_complete() -> bool {
    let source = Path::new("/usr/lib/rustlib/src/rust/library/std/Cargo.toml").exists();
    let programs = ["/usr/bin/rustc", "/usr/bin/cargo", "/usr/bin/wasm-ld"];
    source && programs.iter().all(|program| Path::new(program).exists())
}

fn install_debian(reasons: &str) -> Result<()> {
    let install = format!("apt-get install --yes {}", DEBIAN_PACKAGES.join(" "));
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!("no toolchain here builds for {TARGET}: {reasons}. Add it with `rustup target add {TARGET}`");
    }
    if !is_root() {
        bail!("no toolchain here builds for {TARGET}: {reasons}. Run `sudo {install}`, then this command again");
    }
    eprintln!("installing Debian's toolchain: {install}");
    for words in
        [vec!["update"], [vec!["install", "--yes", "--no-install-recommends"], DEBIAN_PACKAGES.to_vec()].concat()]
    {
        let mut command = Command::new("/usr/bin/apt-get");
        command.args(["-qq", "-o", "Dpkg::Use-Pty=0"]).args(&words).env("DEBIAN_FRONTEND", "noninteractive");
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().context("apt-get")?;
        if !status.success() {
            bail!("`apt-get {}` ended with {status}; {reasons}", words.join(" "));
        }
    }
    if !debian_is_complete() {
        bail!("{install} left no complete toolchain behind; {reasons}");
    }
    Ok(())
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output()?;
    if !output.status.success() {
        bail!("{command:?} ended with {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}
