//! The artifacts of one engine that one key vouches for.

use std::io;
use std::time::Duration;

use peat_core::ports::ExtensionError;
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::directory::OwnedDirectory;
use super::key_file::AuthenticationKey;
use super::lock::Lock;
use super::native_code::{deserialize, precompile};
use super::origin::Origin;
use super::record::{RECORD_BYTES_MAX, Record};
use super::{ARTIFACT_BYTES_MAX, ArtifactKey};

/// How long one process waits for another that compiles the same: the largest component takes ten seconds on two cores.
/// After it, it compiles by itself.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// What the name of a record ends with.
pub(super) const RECORD_ENDING: &str = ".record";

/// A directory of artifacts, and the key that vouches for what is in it.
pub(super) struct Shelf {
    pub(super) directory: OwnedDirectory,
    pub(super) authentication: AuthenticationKey,
}

impl Shelf {
    /// The component for `engine`, and whether `compiler` had to make it.
    pub(super) fn component(
        &self,
        extension: &str,
        (compiler, engine): (&Engine, &Engine),
        key: &ArtifactKey<'_>,
        origin: Origin,
    ) -> Result<(Component, bool), ExtensionError> {
        if let Some(component) = self.load(engine, key) {
            return Ok((component, false));
        }
        // Only one process compiles; those who waited for it find the artifact made.
        let lock = self.lock(key);
        if lock.is_some()
            && let Some(component) = self.load(engine, key)
        {
            return Ok((component, false));
        }
        let wasm = origin.read(extension, &key.wasm)?;
        let native = precompile(compiler, &wasm, extension)?;
        self.keep(key, &native);
        Ok((deserialize(engine, &native, extension)?, true))
    }

    /// Sees to it that there is an artifact; answers whether it had to be made. It is not loaded.
    pub(super) fn prepare(
        &self,
        extension: &str,
        compiler: &Engine,
        key: &ArtifactKey<'_>,
        origin: Origin,
    ) -> Result<bool, ExtensionError> {
        if self.native(key).is_some() {
            return Ok(false);
        }
        let lock = self.lock(key);
        if lock.is_some() && self.native(key).is_some() {
            return Ok(false);
        }
        let wasm = origin.read(extension, &key.wasm)?;
        self.keep(key, &precompile(compiler, &wasm, extension)?);
        Ok(true)
    }

    /// The right to make what there is of one component. None where it cannot be had: it is then made without.
    pub(super) fn lock(&self, key: &ArtifactKey<'_>) -> Option<Lock> {
        match self.directory.lock(&lock_name(key), LOCK_PATIENCE) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                debug!(%error, "not waiting for the artifact that somebody else makes");
                None
            }
            Err(error) => {
                warn!(%error, "cannot lock the artifact; compiling without waiting for others");
                None
            }
        }
    }

    /// None when there is no artifact, or none that can be trusted.
    pub(super) fn load(&self, engine: &Engine, key: &ArtifactKey<'_>) -> Option<Component> {
        let native = self.native(key)?;
        match deserialize(engine, &native, "") {
            Ok(component) => {
                if let Err(error) = self.directory.note_use(&record_name(key)) {
                    debug!(%error, "the use of a compiled extension cannot be noted");
                }
                Some(component)
            }
            Err(error) => {
                self.set_aside(key, &error.to_string());
                None
            }
        }
    }

    /// Native code that can be trusted. None when there is none; what cannot be trusted is set aside.
    pub(super) fn native(&self, key: &ArtifactKey<'_>) -> Option<Vec<u8>> {
        match self.verified(key) {
            Ok(native) => native,
            Err(reason) => {
                self.set_aside(key, &reason);
                None
            }
        }
    }

    /// Native code that is what its record says, which this user's key vouches for. None when there is no record.
    pub(super) fn verified(&self, key: &ArtifactKey<'_>) -> Result<Option<Vec<u8>>, String> {
        let read = |name: &str, limit| self.directory.read(name, limit).map_err(|error| format!("{name}: {error}"));
        let Some(record) = read(&record_name(key), RECORD_BYTES_MAX)? else { return Ok(None) };
        let record = Record::verify(&record, &self.authentication, key.engine, &key.wasm)?;
        let native = read(&artifact_name(key), ARTIFACT_BYTES_MAX)?.ok_or("the artifact is not there")?;
        record.fits(&native)?;
        Ok(Some(native))
    }

    /// Takes an artifact out of use.
    pub(super) fn set_aside(&self, key: &ArtifactKey<'_>, reason: &str) {
        debug!(artifact = %key.wasm, reason, "setting a compiled extension aside");
        self.directory.set_aside(&record_name(key));
        self.directory.set_aside(&artifact_name(key));
    }

    /// Keeps native code for the next time, where that is possible.
    pub(super) fn keep(&self, key: &ArtifactKey<'_>, native: &[u8]) {
        // The artifact first, then the record that vouches for it: a record without its artifact is never seen.
        let kept = self.directory.write(&artifact_name(key), native).and_then(|()| {
            let record = Record::of(native, key.engine, key.wasm);
            self.directory.write(&record_name(key), &record.seal(&self.authentication))
        });
        if let Err(error) = kept {
            warn!(%error, "the compiled extension could not be kept; it will be compiled again");
        }
    }
}

pub(super) fn artifact_name(key: &ArtifactKey<'_>) -> String {
    format!("{}.cwasm", key.wasm)
}

pub(super) fn record_name(key: &ArtifactKey<'_>) -> String {
    format!("{}{RECORD_ENDING}", key.wasm)
}

pub(super) fn lock_name(key: &ArtifactKey<'_>) -> String {
    format!("{}.lock", key.wasm)
}
