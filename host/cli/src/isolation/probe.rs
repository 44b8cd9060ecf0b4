//! What the runner says of itself when it is asked to try its own confinement (`peat-runner --probe`).

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use super::RunnerFile;
use super::program::output;

/// How long it may take, on a machine that is busy.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// What a confined runner must still be able to do.
const NEEDED: [&str; 2] = ["readGranted", "startThread"];

/// What was seen.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Probe {
    /// Version of the runner.
    pub(crate) version: String,
    /// Protections in force.
    pub(crate) active: Vec<String>,
    /// Protections that could not be had.
    pub(crate) missing: Vec<Missing>,
    /// What was tried: `done`, or why not.
    attempts: BTreeMap<String, String>,
}

/// A protection that could not be had.
#[derive(Debug, Deserialize)]
pub(crate) struct Missing {
    pub(crate) name: String,
    pub(crate) reason: String,
}

impl Probe {
    /// What it could do and should not have been able to, and the other way round.
    pub(crate) fn escapes(&self) -> impl Iterator<Item = &str> {
        self.attempts
            .iter()
            .filter(|(name, outcome)| (*outcome == "done") != NEEDED.contains(&name.as_str()))
            .map(|(name, _)| name.as_str())
    }
}

impl RunnerFile {
    /// Lets the runner try itself, started as it would be for a guest.
    pub(crate) async fn probe(&self) -> Result<Probe, String> {
        let file = self.find().map_err(|error| error.to_string())?;
        let mut command = Command::new(&file);
        // It may read where it lies, and nowhere else.
        let directory = file.parent().unwrap_or(&file);
        command.arg("--probe").env_clear().current_dir(directory);
        let printed = output(command, &[], PROBE_TIMEOUT).await?;
        serde_json::from_str(&printed).map_err(|error| format!("it answered something else: {error}"))
    }
}
