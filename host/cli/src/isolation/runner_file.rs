//! The executable `peat-runner`.

use std::path::{Path, PathBuf};

use peat_wasm::LaunchError;

/// Its name beside `peat`.
const NAME: &str = "peat-runner";

/// Where the runner is.
#[derive(Debug, Clone)]
pub(crate) struct RunnerFile {
    chosen: Option<PathBuf>,
}

impl RunnerFile {
    /// `chosen` goes before the one beside this executable. Looks at nothing.
    pub(crate) fn new(chosen: Option<PathBuf>) -> Self {
        Self { chosen }
    }

    /// Finds it.
    pub(crate) fn find(&self) -> Result<PathBuf, LaunchError> {
        let file = match &self.chosen {
            Some(chosen) => std::path::absolute(chosen).unwrap_or_else(|_| chosen.clone()),
            None => beside_this()?,
        };
        if file.is_file() {
            return Ok(file);
        }
        Err(self.missing(&file))
    }

    fn missing(&self, file: &Path) -> LaunchError {
        let remedy = match &self.chosen {
            Some(_) => "set PEAT_RUNNER to the executable peat-runner, or unset it",
            None => "install peat-runner beside peat (`cargo xtask runner` builds it), or name it in PEAT_RUNNER",
        };
        LaunchError(format!("there is no runner {}; {remedy}", file.display()))
    }
}

fn beside_this() -> Result<PathBuf, LaunchError> {
    let this = std::env::current_exe().and_then(|this| this.canonicalize());
    let this = this.map_err(|error| {
        LaunchError(format!("peat cannot find itself, nor the runner beside it ({error}); name it in PEAT_RUNNER"))
    })?;
    Ok(this.with_file_name(NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runner_that_is_missing_is_named_with_its_remedy() {
        let error = RunnerFile::new(Some("/nowhere/peat-runner".into())).find().unwrap_err().to_string();
        assert!(error.contains("/nowhere/peat-runner") && error.contains("PEAT_RUNNER"), "{error}");
        let error = RunnerFile::new(None).missing(Path::new("/opt/peat-runner")).to_string();
        assert!(error.contains("/opt/peat-runner") && error.contains("cargo xtask runner"), "{error}");
    }
}
