//! Python: `componentize-py` puts an interpreter, the modules and the bindings into one component.

use std::path::Path;

use anyhow::{Context, Result};

use super::{WORLD, tools};
use crate::process;

/// The module that implements the world.
const MODULE: &str = "extension";

/// The component of the sources for the world in `wit`.
pub(super) fn component(tools: &Path, sources: &Path, wit: &Path, scratch: &Path) -> Result<Vec<u8>> {
    // A copy: the interpreter writes beside the modules it loads.
    let modules = scratch.join("src");
    super::copy_files(sources, &modules)?;
    let output = scratch.join("component.wasm");
    let mut componentize = tools::python();
    componentize.env("PYTHONPATH", tools);
    componentize.args(["-c", "import sys, componentize_py; sys.exit(componentize_py.script())"]);
    componentize.arg("-d").arg(wit).args(["-w", WORLD, "componentize"]);
    // Without WASI: only what the world names is imported.
    componentize.args(["--stub-wasi", MODULE, "-p"]).arg(modules).arg("-o").arg(&output);
    process::run(&mut componentize)?;
    std::fs::read(&output).with_context(|| format!("cannot read {}", output.display()))
}
