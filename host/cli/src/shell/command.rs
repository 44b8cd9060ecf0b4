//! What is to be run, from the arguments of the model and of the run: all that their schema cannot say is checked here,
//! before anything runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use peat_core::schema::Violation;
use serde::Deserialize;
use serde_json::Value;

/// The search path where the host has none.
const PATH_DEFAULT: &str = "/usr/local/bin:/usr/bin:/bin";

/// A command, ready to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShellCommand {
    /// For `/bin/sh -c`.
    pub(crate) run: String,
    /// Absolute, inside the repository.
    pub(crate) directory: PathBuf,
    /// All of its environment.
    pub(crate) environment: Vec<(String, OsString)>,
    /// How long it may take.
    pub(crate) timeout: Duration,
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
    /// The run's arguments go before the model's. `variable` reads the environment of the host. No longer than `deadline`.
    pub(crate) fn new(
        root: &Path,
        model_arguments: &Value,
        arguments: &Value,
        deadline: Duration,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Violation> {
        let own = read(model_arguments)?;
        let given = read(arguments)?;
        let run = given.run.or(own.run).ok_or_else(|| {
            violation(
                "run",
                "there is nothing to run; give --input run='…', or write it into the arguments of the model",
            )
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
            Some(text) => timeout(&text)?.min(deadline),
            None => deadline,
        };
        Ok(Self { run, directory, environment, timeout })
    }
}

/// Checks the arguments of a model, which fit their schema. What a run may still give is not missed.
pub(crate) fn check_model(arguments: &Value) -> Result<(), Violation> {
    read(arguments)?.timeout.map_or(Ok(()), |text| timeout(&text).map(drop))
}

/// Checks whether a run with these arguments, which fit their schema, can begin.
pub(crate) fn check_run(root: &Path, model_arguments: &Value, arguments: &Value) -> Result<(), Violation> {
    ShellCommand::new(root, model_arguments, arguments, Duration::MAX, |_| None).map(drop)
}

fn read(value: &Value) -> Result<Arguments, Violation> {
    Arguments::deserialize(value).map_err(|error| Violation { place: "/".to_owned(), reason: error.to_string() })
}

fn timeout(text: &str) -> Result<Duration, Violation> {
    humantime::parse_duration(text)
        .map_err(|error| violation("timeout", &format!("{text:?} is not a duration ({error}); write 90s or 10m")))
}

fn directory(root: &Path, wanted: Option<&str>) -> Result<PathBuf, Violation> {
    let Some(wanted) = wanted else { return Ok(root.to_owned()) };
    let wrong = |reason: &str| violation("workingDirectory", &format!("{wanted:?} {reason}"));
    let directory = root.join(wanted).canonicalize().map_err(|error| wrong(&format!("cannot be used: {error}")))?;
    if !directory.starts_with(root) {
        return Err(wrong("leads out of the repository; choose a directory inside it"));
    }
    if !directory.is_dir() {
        return Err(wrong("is not a directory"));
    }
    Ok(directory)
}

fn violation(argument: &str, reason: &str) -> Violation {
    Violation { place: format!("/{argument}"), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn command(root: &Path, own: Value, given: Value) -> Result<ShellCommand, Violation> {
        let variable = |name: &str| matches!(name, "PATH" | "HOME" | "SECRET").then(|| OsString::from(name));
        ShellCommand::new(root, &own, &given, Duration::from_secs(60), variable)
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

    #[test]
    fn a_timeout_that_is_none_is_refused_of_a_model_and_of_a_run() {
        let root = tempfile::tempdir().unwrap();
        for wrong in ["soon", "5 parsecs", ""] {
            let timeout = json!({ "run": "true", "timeout": wrong });
            for error in [check_model(&timeout), check_run(root.path(), &json!({}), &timeout)] {
                let error = error.unwrap_err().to_string();
                assert!(error.starts_with("/timeout: ") && error.contains("write 90s"), "{wrong:?}: {error}");
            }
        }
        // A model may leave to the run what is run.
        check_model(&json!({ "timeout": "1h 30m" })).unwrap();
        assert!(check_run(root.path(), &json!({}), &json!({})).is_err());
    }
}
