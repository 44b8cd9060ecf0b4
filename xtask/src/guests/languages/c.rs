//! C: bindings by `wit-bindgen`, a core module by the C compiler in `ziglang`, a component by `wit-component`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use wit_component::ComponentEncoder;

use super::{WORLD, files, tools};
use crate::process;

/// How the example is compiled. A reactor is a library: it exports functions and has no `main`.
const FLAGS: [&str; 9] =
    ["--target=wasm32-wasi", "-mexec-model=reactor", "-std=c17", "-Os", "-flto", "-s", "-Wall", "-Wextra", "-Werror"];

/// The component of the sources for the world in `wit`.
pub(super) fn component(tools: &Path, sources: &Path, wit: &Path, scratch: &Path) -> Result<Vec<u8>> {
    let bindings = scratch.join("bindings");
    let mut generator = Command::new(tools::wit_bindgen());
    // Host calls come back when they are done: the simplest thing that an export that is `async` may do.
    generator.arg("c").arg(wit).args(["--world", WORLD, "--sync", "all", "--out-dir"]).arg(&bindings);
    process::run(generator.stdout(Stdio::null()))?;
    let core = scratch.join("core.wasm");
    let mut compiler = tools::python();
    compiler.env("PYTHONPATH", tools).args(["-m", "ziglang", "cc"]).args(FLAGS);
    compiler.arg("-I").arg(&bindings).arg("-o").arg(&core);
    compiler.args(files(sources)?.into_iter().chain(files(&bindings)?).filter(|file| is_input(file)));
    // Beside the rest of what is built, and not in the home directory.
    compiler.env("ZIG_GLOBAL_CACHE_DIR", tools.join("cache")).env("ZIG_LOCAL_CACHE_DIR", scratch.join("cache"));
    process::run(&mut compiler)?;
    let module = std::fs::read(&core).with_context(|| format!("cannot read {}", core.display()))?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}

/// Sources, and the object that holds the types of the world.
fn is_input(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "c" || ending == "o")
}
