//! Builds the WebAssembly components: every workspace member that is a `cdylib`.
//!
//! One cargo call makes all core modules (and only what changed), then each module that changed becomes a component under
//! `target/guests/components/`.

mod component;
pub(crate) mod languages;
mod toolchain;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{process, workspace};
use languages::Language;
use toolchain::{TARGET, Toolchain};

const USAGE: &str = "\
cargo xtask guests [--list] [--only NAME]… [--toolchain active|debian]
cargo xtask guests --language c|python…
cargo xtask guests --module CORE.wasm --output COMPONENT.wasm

Builds the WebAssembly components of this workspace into target/guests/components/: extensions, examples and test
guests. Uses the wasm target of the active toolchain, else adds it with rustup, else uses Debian's toolchain (which is
installed with apt where that is allowed); says which. Only what changed is built again.

  --list            names the components and where they go, builds nothing
  --only NAME       builds this crate and no other; may be repeated
  --toolchain NAME  takes this toolchain or fails, instead of the first that works
  --language NAME   builds the example in this language instead, with tools from the Python package index, which go to
                    target/tools; may be repeated
  --module FILE     compiles nothing: makes a component of this core module, which was built with the SDK elsewhere
  --output FILE     where that component goes
";

/// What to build.
#[derive(Debug, Default)]
pub(crate) struct Options {
    list: bool,
    only: Vec<String>,
    toolchain: Option<String>,
    languages: Vec<Language>,
    module: Option<PathBuf>,
    output: Option<PathBuf>,
    help: bool,
}

impl Options {
    /// Reads the arguments of `cargo xtask guests`.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().cloned().with_context(|| format!("{argument} wants a name\n\n{USAGE}"));
            match argument.as_str() {
                "--list" => options.list = true,
                "--only" => options.only.push(value()?),
                "--toolchain" => options.toolchain = Some(value()?),
                "--language" => options.languages.push(Language::parse(&value()?)?),
                "--module" => options.module = Some(value()?.into()),
                "--output" => options.output = Some(value()?.into()),
                "-h" | "--help" => options.help = true,
                other => bail!("unknown argument {other:?}\n\n{USAGE}"),
            }
        }
        if options.module.is_some() != options.output.is_some() {
            bail!("--module and --output belong together\n\n{USAGE}");
        }
        Ok(options)
    }
}

/// A component that was built.
#[derive(Debug)]
pub(crate) struct BuiltGuest {
    /// Name of its crate.
    pub(crate) name: String,
    /// The component.
    pub(crate) path: PathBuf,
}

/// Builds what changed. Says on standard error what it does.
pub(crate) fn build(options: &Options) -> Result<Vec<BuiltGuest>> {
    if options.help {
        print!("{USAGE}");
        return Ok(Vec::new());
    }
    if let (Some(module), Some(output)) = (&options.module, &options.output) {
        component::write(module, output)?;
        return Ok(Vec::new());
    }
    if !options.languages.is_empty() {
        return languages::build(&options.languages);
    }
    let directory = workspace::target().join("guests");
    let components = directory.join("components");
    let guests: Vec<BuiltGuest> = chosen_crates(&options.only)?
        .into_iter()
        .map(|name| BuiltGuest { path: components.join(format!("{name}.wasm")), name })
        .collect();
    if options.list {
        guests.iter().for_each(|guest| println!("{}  {}", guest.name, guest.path.display()));
        return Ok(guests);
    }
    std::fs::create_dir_all(&components)?;
    let toolchain = Toolchain::choose(options.toolchain.as_deref(), &directory)?;
    eprintln!("guests: {}", toolchain.choice);
    let mut cargo = toolchain.cargo_build();
    cargo.current_dir(workspace::root()).arg("--target-dir").arg(&directory);
    guests.iter().for_each(|guest| {
        cargo.args(["--package", &guest.name]);
    });
    let status = cargo.status().context("cargo cannot be started")?;
    if !status.success() {
        bail!("building the guests failed ({status})");
    }
    for guest in &guests {
        let core = directory.join(TARGET).join("guest").join(format!("{}.wasm", guest.name.replace('-', "_")));
        let made = component::make(&core, &guest.path)?;
        tell(&guest.name, &guest.path, made)?;
    }
    Ok(guests)
}

fn tell(name: &str, component: &Path, made: bool) -> Result<()> {
    let kib = std::fs::metadata(component)?.len().div_ceil(1024);
    eprintln!("  {name:<32} {kib:>6} KiB  {}", if made { "built" } else { "unchanged" });
    Ok(())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    crate_types: Vec<String>,
}

/// The crates to build: those named, or all.
fn chosen_crates(only: &[String]) -> Result<Vec<String>> {
    let mut names = guest_crates()?;
    if let Some(unknown) = only.iter().find(|name| !names.contains(name)) {
        bail!("{unknown:?} is no guest crate; there are {}", names.join(", "));
    }
    names.retain(|name| only.is_empty() || only.contains(name));
    Ok(names)
}

/// The workspace members that are built for wasm, sorted.
fn guest_crates() -> Result<Vec<String>> {
    let mut cargo = process::cargo();
    cargo.args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(workspace::root());
    let metadata: Metadata = serde_json::from_slice(&process::output(&mut cargo)?)?;
    let is_guest = |package: &Package| {
        package.targets.iter().any(|target| target.crate_types.iter().any(|crate_type| crate_type == "cdylib"))
    };
    let mut names: Vec<String> = metadata.packages.into_iter().filter(is_guest).map(|package| package.name).collect();
    names.sort();
    Ok(names)
}
