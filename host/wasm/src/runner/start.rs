//! Starting a runner: bundle, process, first words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use peat_core::identifiers::GrantName;
use peat_core::ports::ExtensionError;

use super::connection::{Connection, Refused};
use super::guest_limits;
use super::launch::{LaunchRequest, Launcher};
use super::served::Allowed;
use crate::artifacts::Bundle;
use crate::failure::CallName;
use crate::grants::GrantedCapabilities;
use crate::inspect::InspectedKind;
use crate::limits::Limits;
use crate::wire::{Hello, PROTOCOL_VERSION};

/// How long a runner may take until it has loaded its component: a container starts in a second, on a busy machine in
/// many; the largest component is read and checked in one.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Everything that starting needs.
pub(crate) struct RunnerStart {
    extension: String,
    launcher: Arc<dyn Launcher>,
    bundle: Bundle,
    directories: BTreeMap<GrantName, PathBuf>,
    limits: Limits,
    allowed: Allowed,
}

impl RunnerStart {
    pub(crate) fn new(
        extension: &str,
        launcher: Arc<dyn Launcher>,
        bundle: Bundle,
        directories: BTreeMap<GrantName, PathBuf>,
        limits: Limits,
        (kind, granted): (InspectedKind, GrantedCapabilities),
    ) -> Self {
        let allowed = Allowed { kind, granted };
        Self { extension: extension.to_owned(), launcher, bundle, directories, limits, allowed }
    }

    pub(super) fn extension(&self) -> &str {
        &self.extension
    }

    pub(super) fn driver(&self) -> &'static str {
        self.launcher.name()
    }

    pub(super) fn allowed(&self) -> &Allowed {
        &self.allowed
    }

    /// Starts the process and waits until it has loaded the component.
    pub(super) async fn connect(&self, name: &CallName) -> Result<Connection, ExtensionError> {
        let broken = |reason: String| name.runner(self.driver(), reason);
        let request = LaunchRequest {
            extension: self.extension.clone(),
            bundle: self.bundle.clone(),
            directories: self.directories.clone(),
            memory_bytes: self.limits.memory_bytes,
        };
        let launched = self.launcher.launch(&request).await.map_err(|error| broken(error.to_string()))?;
        let directories = launched.directories.iter().map(|(name, path)| Ok((name.to_string(), text(path)?)));
        let hello = Hello {
            version: PROTOCOL_VERSION,
            extension: self.extension.clone(),
            is_models: self.allowed.kind == InspectedKind::Models,
            granted: self.allowed.granted.iter().map(|capability| capability.to_string()).collect(),
            bundle: text(&launched.bundle).map_err(broken)?,
            digest: self.bundle.digest.to_string(),
            length: self.bundle.length,
            directories: directories.collect::<Result<_, String>>().map_err(broken)?,
            limits: guest_limits(&self.limits),
            confinement: launched.confinement,
        };
        let opened = tokio::time::timeout(START_TIMEOUT, Connection::open(launched, &hello)).await;
        let silent = || Refused::Runner(format!("its runner said nothing for {} s", START_TIMEOUT.as_secs()));
        let connection = opened.unwrap_or_else(|_| Err(silent())).map_err(|refused| match refused {
            Refused::Runner(reason) => broken(reason),
            Refused::Component(reason) => ExtensionError::Unusable { extension: self.extension.clone(), reason },
        })?;
        tracing::debug!(
            extension = self.extension,
            driver = self.driver(),
            confined = connection.confined().join(", "),
            "a runner has loaded the component"
        );
        Ok(connection)
    }
}

fn text(path: &Path) -> Result<String, String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| format!("the path {} is not Unicode; a runner cannot be told of it", path.display()))
}
