//! `cargo xtask demo`: the main job from nothing but Rust. Builds the components and `peat`, runs a method on the embedded
//! datastore, then on a shared one, and reads the same bytes on a second machine.
//!
//! A *machine* here is a `PEAT_HOME` of its own: that is all one machine has and another has not.

mod files;
mod machine;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::{guests, peat, workspace};
use machine::Machine;

/// The extensions of the demo, by the names of their crates.
const EXTENSIONS: [&str; 3] = ["example-lockfile", "example-text", "peat-directory"];

/// The model whose data goes round, and its method.
const MODEL: &str = "dependencies";
const METHOD: &str = "inventory";

/// What that method writes.
const DATA: [&str; 3] = ["summary", "duplicates", "packages"];

/// Runs it all. Repeatable: begins by removing what the last time left.
pub(crate) fn run() -> Result<ExitCode> {
    let started = Instant::now();
    say("Building the extensions (WebAssembly components)");
    let components = components(&guests::build(&guests::Options::default())?)?;
    say("Building peat");
    let peat = peat::build(peat::Build::Development)?;
    let built = started.elapsed();

    let scratch = workspace::target().join("demo");
    files::remove(&scratch)?;
    let first = Machine::new("first machine", &peat, &scratch.join("first"))?;
    files::copy_tree(&workspace::root().join("examples/repository"), first.checkout())?;
    on_the_embedded_datastore(&first, &components)?;
    let shared = scratch.join("shared");
    std::fs::create_dir_all(&shared)?;
    on_a_shared_datastore(&first, &shared)?;
    let second = Machine::new("second machine", &peat, &scratch.join("second"))?;
    files::copy_tree(first.checkout(), second.checkout())?;
    on_a_second_machine(&first, &second, &scratch)?;

    let total = started.elapsed();
    println!(
        "\nDone in {:.1} s, {:.1} s of it building. Everything is in {}.",
        total.as_secs_f64(),
        built.as_secs_f64(),
        files::short(&scratch)
    );
    Ok(ExitCode::SUCCESS)
}

fn on_the_embedded_datastore(first: &Machine, components: &[PathBuf]) -> Result<()> {
    say("A repository with three models, on the embedded datastore: nothing else is installed");
    let extensions = first.checkout().join("extensions");
    std::fs::create_dir_all(&extensions)?;
    let mut add = vec!["extension".to_owned(), "add".to_owned()];
    for component in components {
        let name = component.file_name().context("a component is a file")?;
        std::fs::copy(component, extensions.join(name))?;
        add.push(format!("extensions/{}", name.to_string_lossy()));
    }
    add.push("--grant".to_owned());
    add.push(format!("files:source={}", workspace::root().display()));
    first.peat(&add)?;
    first.peat(&["model", "list"])?;
    say(
        "The inventory of this project's own Cargo.lock, by an extension that may read this directory and nothing else",
    );
    first.peat(&["model", "method", "run", MODEL, METHOD])?;
    first.peat(&["data", "list"])?;
    first.peat(&["data", "get", MODEL, "summary", "--output", "-"])
}

fn on_a_shared_datastore(first: &Machine, shared: &Path) -> Result<()> {
    say("The same repository on a shared datastore: a directory, through the extension @peat/directory");
    first.peat(&["datastore", "setup", "@peat/directory", "--setting", &format!("path={}", shared.display())])?;
    first.peat(&["model", "method", "run", MODEL, METHOD])
}

fn on_a_second_machine(first: &Machine, second: &Machine, scratch: &Path) -> Result<()> {
    say("Another machine with a checkout of the same repository");
    second.peat(&["datastore", "sync"])?;
    second.peat(&["data", "list", MODEL])?;
    second.peat(&["data", "get", MODEL, "summary", "--output", "-"])?;
    say("The same bytes on both machines?");
    for name in DATA {
        let [here, there] = [first, second].map(|machine| {
            let file = scratch.join(format!("{}-{name}", machine.word()));
            machine.quietly(&["data", "get", MODEL, name, "--output", &file.to_string_lossy()])?;
            std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
        });
        let (here, there) = (here?, there?);
        ensure!(!here.is_empty(), "{name} is empty");
        ensure!(
            here == there,
            "{name} differs: {} bytes on the first machine, {} on the second",
            here.len(),
            there.len()
        );
        println!("   {name:<12} {:>8} bytes  identical", here.len());
    }
    Ok(())
}

fn components(built: &[guests::BuiltGuest]) -> Result<Vec<PathBuf>> {
    let of = |name: &str| {
        let guest = built.iter().find(|guest| guest.name == name);
        guest.map(|guest| guest.path.clone()).with_context(|| format!("no component {name} was built"))
    };
    EXTENSIONS.into_iter().map(of).collect()
}

fn say(what: &str) {
    println!("\n▸ {what}");
}
