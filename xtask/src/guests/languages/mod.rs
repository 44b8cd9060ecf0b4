//! The examples that are not in Rust: `cargo xtask guests --language c --language python`.
//!
//! What an author does by hand (docs/authors-guide.md), as a command: the contract's WIT beside the example's world, the
//! language's own tools from the Python package index, and the metadata, a JSON file beside the source, appended to the
//! component.

mod c;
mod python;
mod tools;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{BuiltGuest, component};
use crate::workspace;

/// Raised when the way from source to component changes: everything is then made again.
const RECIPE: u32 = 1;

/// Packages of the contract that the world of a model uses.
const CONTRACT: [&str; 2] = ["host", "model"];

/// Name of the world in each example, and of the bindings made from it.
const WORLD: &str = "text";

/// A language other than Rust with an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// C, by `wit-bindgen` and the C compiler of Zig.
    C,
    /// Python, by `componentize-py`.
    Python,
}

impl Language {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::C, Self::Python];

    pub(super) fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|language| language.name() == name);
        known.with_context(|| {
            format!("there is no example in {name:?}; there are c, python (those in Rust are always built)")
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Python => "python",
        }
    }

    /// The package of the Python package index that builds it, at this version.
    fn package(self) -> &'static str {
        match self {
            Self::C => "ziglang==0.17.1",
            Self::Python => "componentize-py==0.25.1",
        }
    }

    /// The example.
    fn directory(self) -> PathBuf {
        workspace::root().join("examples/extensions").join(format!("text-{}", self.name()))
    }

    /// Whether the tools were brought before.
    pub(crate) fn has_tools(self) -> bool {
        tools::package_directory(self.package()).is_dir() && (self != Self::C || tools::wit_bindgen().is_file())
    }

    /// Brings the tools into `target/tools`; a moment when they are there.
    fn install_tools(self) -> Result<PathBuf> {
        if self == Self::C {
            tools::install_wit_bindgen()?;
        }
        tools::install_package(self.package())
    }
}

/// Builds the examples in these languages where something changed. Says on standard error what it does.
pub(crate) fn build(languages: &[Language]) -> Result<Vec<BuiltGuest>> {
    let directory = workspace::target().join("guests");
    std::fs::create_dir_all(directory.join("components"))?;
    let mut built = Vec::new();
    for language in languages {
        let name = format!("example-text-{}", language.name());
        let path = directory.join("components").join(format!("{name}.wasm"));
        let made = make(*language, &directory.join("languages").join(language.name()), &path)?;
        super::tell(&name, &path, made)?;
        built.push(BuiltGuest { name, path });
    }
    Ok(built)
}

/// Makes the component at `target`, unless it is there already. Answers whether it was made.
fn make(language: Language, scratch: &Path, target: &Path) -> Result<bool> {
    let recipe = recipe(language)?;
    let record = target.with_extension("source");
    if target.exists() && std::fs::read_to_string(&record).is_ok_and(|known| known == recipe) {
        return Ok(false);
    }
    let tools = language.install_tools()?;
    if scratch.exists() {
        std::fs::remove_dir_all(scratch)?;
    }
    let wit = scratch.join("wit");
    let source = language.directory();
    copy_files(&source.join("wit"), &wit)?;
    for package in CONTRACT {
        copy_files(&workspace::root().join("wit").join(package), &wit.join("deps").join(package))?;
    }
    let component = match language {
        Language::C => c::component(&tools, &source.join("src"), &wit, scratch),
        Language::Python => python::component(&tools, &source.join("src"), &wit, scratch),
    };
    let component = component.with_context(|| format!("cannot build {}", source.display()))?;
    let metadata = source.join("extension.json");
    let text = std::fs::read(&metadata).with_context(|| format!("cannot read {}", metadata.display()))?;
    let component = component::with_metadata(component, &text).with_context(|| metadata.display().to_string())?;
    component::publish(&component, target)?;
    std::fs::write(record, recipe)?;
    Ok(true)
}

/// Everything the component depends on, as one line.
fn recipe(language: Language) -> Result<String> {
    let contract = CONTRACT.map(|package| workspace::root().join("wit").join(package));
    let mut hash = Sha256::new();
    for directory in contract.into_iter().chain([language.directory()]) {
        for file in files(&directory)? {
            let content = std::fs::read(&file)?;
            hash.update(format!("{}\n{}\n", file.display(), content.len()));
            hash.update(content);
        }
    }
    let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{RECIPE} {} {digest}\n", language.package()))
}

/// The files of a directory and those below it, in order.
fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for file in files(from)? {
        let Some(name) = file.file_name() else { bail!("{} has no name", file.display()) };
        std::fs::copy(&file, to.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    Ok(())
}
