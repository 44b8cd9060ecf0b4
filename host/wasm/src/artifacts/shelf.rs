//! The artifacts of one engine that one key vouches for.

use std::io;
use std::time::Duration;

use peat_core::digest::Digest;
use peat_core::ports::ExtensionError;
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::directory::OwnedDirectory;
use super::key_file::AuthenticationKey;
use super::lock::Lock;
use super::native_code::{deserialize, map, precompile};
use super::origin::Origin;
use super::record::{RECORD_BYTES_MAX, Record};
use super::sealed_memory::SealedMemory;
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
        if self.has(key) {
            return Ok(false);
        }
        let lock = self.lock(key);
        if lock.is_some() && self.has(key) {
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
        let component = match self.mapped(engine, key) {
            Ok(mapped) => mapped?,
            Err(reason) => {
                debug!(artifact = %key.wasm, reason, "copying a compiled extension that could not be mapped");
                self.copied(engine, key)?
            }
        };
        if let Err(error) = self.directory.note_use(&record_name(key)) {
            debug!(%error, "the use of a compiled extension cannot be noted");
        }
        Some(component)
    }

    /// The component in memory of its own, which a file is copied to once. Not everywhere can such memory be had or executed.
    fn mapped(&self, engine: &Engine, key: &ArtifactKey<'_>) -> Result<Option<Component>, String> {
        let mut memory = None;
        let verified = self.verified(key, |directory, name, limit| {
            let (sealed, found) = SealedMemory::filled(|file| directory.copy(name, limit, file))?;
            memory = Some(sealed);
            Ok(found)
        })?;
        let Some(memory) = memory.filter(|_| verified.is_some()) else { return Ok(None) };
        map(engine, &memory).map(Some).map_err(|error| format!("{error:#}"))
    }

    /// The same where no such memory can be had. What cannot be trusted is set aside.
    pub(super) fn copied(&self, engine: &Engine, key: &ArtifactKey<'_>) -> Option<Component> {
        let native = self.native(key)?;
        self.trusted(key, deserialize(engine, &native, "").map(Some).map_err(|error| error.to_string()))
    }

    /// Native code that can be trusted. None when there is none; what cannot be trusted is set aside.
    pub(super) fn native(&self, key: &ArtifactKey<'_>) -> Option<Vec<u8>> {
        let mut native = Vec::new();
        let verified = self.verified(key, |directory, name, limit| directory.copy(name, limit, &mut native));
        self.trusted(key, verified).map(|_| native)
    }

    /// Whether there is native code that can be trusted. What cannot is set aside.
    pub(super) fn has(&self, key: &ArtifactKey<'_>) -> bool {
        self.trusted(key, self.verified(key, OwnedDirectory::digest)).is_some()
    }

    fn trusted<T>(&self, key: &ArtifactKey<'_>, verified: Result<Option<T>, String>) -> Option<T> {
        verified.unwrap_or_else(|reason| {
            self.set_aside(key, &reason);
            None
        })
    }

    /// Digest and length of native code, which `read` reads: it is what its record says, which this user's key vouches for.
    /// None when there is no record.
    pub(super) fn verified(
        &self,
        key: &ArtifactKey<'_>,
        read: impl FnOnce(&OwnedDirectory, &str, u64) -> io::Result<Option<(Digest, u64)>>,
    ) -> Result<Option<(Digest, u64)>, String> {
        let wrong = |name: &str, error: io::Error| format!("{name}: {error}");
        let name = record_name(key);
        let record = self.directory.read(&name, RECORD_BYTES_MAX).map_err(|error| wrong(&name, error))?;
        let Some(record) = record else { return Ok(None) };
        let record = Record::verify(&record, &self.authentication, key.engine, &key.wasm)?;
        let name = artifact_name(key);
        let found = read(&self.directory, &name, ARTIFACT_BYTES_MAX).map_err(|error| wrong(&name, error))?;
        let found = found.ok_or("the artifact is not there")?;
        record.fits(found)?;
        Ok(Some(found))
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
