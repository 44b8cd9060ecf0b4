//! What is to be run, from the arguments of the model and of the run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use peat_core::ports::{Invocation, MethodError};
use serde::Deserialize;

/// The search path where the host has none.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// A command, ready to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ShellCommand {
    /// For `/bin/sh -c`.
    pub(super) run: String,
    /// Absolute, inside the repository.
    pub(super) directory: PathBuf,
    /// All of its environment.
    pub(super) environment: Vec<(String, OsString)>,
    /// How long it may take.
    pub(super) timeout: Duration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Arguments {
    run: Option<String>,
    working_directory: Option<String>,
    environment: Option<Vec<String>>,
    timeout: Option<String>,
}

impl ShellCommand {
    /// The run's arguments go before the model's. `variable` reads the environment of the host.
    pub(super) fn new(
        root: &Path,
        invocation: &Invocation,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, MethodError> {
        let own = arguments(&invocation.model_arguments)?;
        let given = arguments(&invocation.arguments)?;
        let run = given.run.or(own.run).ok_or_else(|| {
            failed("there is nothing to run; give --input run='…', or write it into the arguments of the model")
        })?;
        let directory = directory(root, given.working_directory.or(own.working_directory).as_deref())?;
        let mut names = given.environment.or(own.environment).unwrap_or_default();
        names.retain(|name| name != "PATH");
        names.sort();
        names.dedup();
        let path = variable("PATH").unwrap_or_else(|| PATH_DEFAULT.into());
        let mut environment = vec![("PATH".to_owned(), path)];
        environment.extend(names.into_iter().filter_map(|name| variable(&name).map(|value| (name, value))));
        let timeout = match given.timeout.or(own.timeout) {
            Some(text) => humantime::parse_duration(&text)
                .map_err(|error| failed(&format!("timeout {text:?} is not a duration ({error}); write 90s or 10m")))?
                .min(invocation.deadline),
            None => invocation.deadline,
        };
        Ok(Self { run, directory, environment, timeout })
    }
}

fn arguments(value: &serde_json::Value) -> Result<Arguments, MethodError> {
    Arguments::deserialize(value).map_err(|error| failed(&format!("the arguments do not fit: {error}")))
}

fn directory(root: &Path, wanted: Option<&str>) -> Result<PathBuf, MethodError> {
    let Some(wanted) = wanted else { return Ok(root.to_owned()) };
    let directory = root
        .join(wanted)
        .canonicalize()
        .map_err(|error| failed(&format!("workingDirectory {wanted:?} cannot be used: {error}")))?;
    if !directory.starts_with(root) {
        return Err(failed(&format!("workingDirectory {wanted:?} leads out of the repository; choose one inside it")));
    }
    if !directory.is_dir() {
        return Err(failed(&format!("workingDirectory {wanted:?} is not a directory")));
    }
    Ok(directory)
}

fn failed(message: &str) -> MethodError {
    MethodError::Failed { message: message.to_owned(), transient: false }
}

#[cfg(test)]
mod tests {
    use peat_core::identifiers::{MethodName, ModelId, ModelName, ModelTypeName, RunId};
    use serde_json::{Value, json};

    use super::*;

    fn invocation(model_arguments: Value, arguments: Value) -> Invocation {
        Invocation {
            run_id: RunId::parse("01hzzzzz-abcd").unwrap(),
            model_id: ModelId::parse("0a1b2c3d4e5f").unwrap(),
            model_name: ModelName::parse("hello").unwrap(),
            model_type: ModelTypeName::parse("command/shell").unwrap(),
            method: MethodName::parse("execute").unwrap(),
            model_arguments,
            arguments,
            deadline: Duration::from_secs(60),
        }
    }

    fn command(root: &Path, own: Value, given: Value) -> Result<ShellCommand, MethodError> {
        let variable = |name: &str| matches!(name, "PATH" | "HOME" | "SECRET").then(|| OsString::from(name));
        ShellCommand::new(root, &invocation(own, given), variable)
    }

    #[test]
    fn the_arguments_of_the_run_go_before_those_of_the_model() {
        let root = tempfile::tempdir().unwrap();
        let own = json!({ "run": "true", "environment": ["HOME", "PATH", "UNSET"], "timeout": "10s" });
        let command = command(root.path(), own, json!({ "run": "false", "timeout": "5m" })).unwrap();
        assert_eq!(command.run, "false");
        assert_eq!(command.timeout, Duration::from_secs(60));
        assert_eq!(command.environment, [("PATH".into(), "PATH".into()), ("HOME".into(), "HOME".into())]);
    }

    #[test]
    fn nothing_to_run_is_said_with_its_remedy() {
        let root = tempfile::tempdir().unwrap();
        let error = command(root.path(), json!({}), json!({})).unwrap_err().to_string();
        assert!(error.contains("--input run="), "{error}");
    }

    #[test]
    fn the_working_directory_cannot_leave_the_repository() {
        let root = tempfile::tempdir().unwrap();
        let root_path = root.path().canonicalize().unwrap();
        std::fs::create_dir(root_path.join("inside")).unwrap();
        std::os::unix::fs::symlink("/", root_path.join("link")).unwrap();
        let directory =
            |wanted: &str| command(&root_path, json!({ "run": "true" }), json!({ "workingDirectory": wanted }));
        assert_eq!(directory("inside").unwrap().directory, root_path.join("inside"));
        for bad in ["..", "/", "link", "missing", "inside/../.."] {
            assert!(directory(bad).is_err(), "{bad}");
        }
    }
}
