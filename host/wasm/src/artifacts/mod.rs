//! Compiled components, kept between commands.
//!
//! ```text
//! {cache}/v1/{engine key}/{sha256 of wasm}.cwasm     native code
//! {cache}/v1/{engine key}/{sha256 of wasm}.record    what it must be, authenticated (record.rs)
//! {cache}/v1/{engine key}/{sha256 of wasm}.lock      single flight between processes
//! ```
//! Loading native code runs it with the rights of this process, so nothing is loaded that this user's key does not vouch
//! for: an artifact is read once, verified, and those very bytes are loaded. Whatever does not fit is set aside and made
//! again; a cache that cannot be used costs time, never an error. Files are written under a unique name, synced and
//! renamed; none is ever written in place.
//!
//! The cache has a bound. Whoever adds an artifact removes those that were not used for longest until the rest fits; an
//! artifact's use is noted as the modification time of its record. Removing a file that another process has open takes
//! nothing from it.

mod cache;
mod directory;
mod inventory;
mod key_file;
mod record;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use peat_core::digest::Digest;
use peat_core::ports::ExtensionError;
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

pub use self::cache::ArtifactCache;
pub use self::inventory::{KeptArtifact, RejectedArtifact};

use self::directory::OwnedDirectory;
use self::record::Record;
use crate::host::too_large;
use crate::limits::COMPONENT_BYTES_MAX;

/// Largest artifact that is read, in bytes: native code is up to eight times its wasm, and the largest wasm has 64 MiB.
const ARTIFACT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// How long one process waits for another that compiles the same: the largest component takes ten seconds on two cores.
/// After it, it compiles by itself.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

/// Version of the layout, and the directory of everything that has it.
const VERSION: &str = "v1";

/// Names one artifact.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArtifactKey<'a> {
    /// The engine's key.
    pub(crate) engine: &'a str,
    /// SHA-256 of the component.
    pub(crate) wasm: Digest,
}

/// Where the component comes from when no artifact is kept.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A file, read when it is needed; its digest is checked.
    File(PathBuf),
    /// Bytes that the caller has; their digest is checked too.
    Bytes(Vec<u8>),
}

/// The artifacts of one user.
#[derive(Debug)]
pub(crate) struct Artifacts<'a> {
    /// Where they lie.
    pub(crate) cache_dir: &'a Path,
    /// What vouches for them.
    pub(crate) key_file: &'a Path,
    /// Most bytes that they have together.
    pub(crate) bytes_max: u64,
}

impl Artifacts<'_> {
    /// The component, from its artifact or compiled. Blocks: on the disk, on another process that compiles the same, and
    /// for as long as compiling takes.
    pub(crate) fn component(
        &self,
        extension: &str,
        engine: &Engine,
        key: &ArtifactKey<'_>,
        origin: Origin,
    ) -> Result<Component, ExtensionError> {
        match self.open(key) {
            Ok(shelf) => {
                let (component, made) = shelf.component(extension, engine, key, origin)?;
                if made {
                    self.make_room(key);
                }
                Ok(component)
            }
            Err(error) => {
                warn!(cache = %self.cache_dir.display(), %error, "compiled extensions cannot be kept; compiling again");
                compile(engine, &origin.read(extension, &key.wasm)?, extension)
            }
        }
    }

    fn open(&self, key: &ArtifactKey<'_>) -> std::io::Result<Shelf> {
        let authentication = key_file::load_or_create(self.key_file)?;
        let directory = OwnedDirectory::create(self.cache_dir)?.child(VERSION)?.child(key.engine)?;
        Ok(Shelf { directory, authentication })
    }

    /// Removes what was not used for longest, until the rest fits. The one that was just made always stays.
    fn make_room(&self, newest: &ArtifactKey<'_>) {
        let made_room = inventory::list(self.cache_dir).and_then(|artifacts| {
            let mut room = self.bytes_max;
            let mut doomed = Vec::new();
            let is_newest =
                |artifact: &KeptArtifact| artifact.component == newest.wasm && artifact.engine == newest.engine;
            let (first, others): (Vec<_>, Vec<_>) = artifacts.into_iter().partition(is_newest);
            for artifact in first.into_iter().chain(others) {
                match room.checked_sub(artifact.bytes) {
                    Some(left) => room = left,
                    None if is_newest(&artifact) => room = 0,
                    None => doomed.push(artifact),
                }
            }
            if doomed.is_empty() { Ok(0) } else { inventory::remove(self.cache_dir, &doomed) }
        });
        match made_room {
            Ok(0) => {}
            Ok(bytes) => debug!(bytes, "removed compiled extensions that were not used for longest"),
            Err(error) => warn!(%error, "cannot keep the compiled extensions within their bound"),
        }
    }
}

/// The directory of one engine, and the key that vouches for what is in it.
struct Shelf {
    directory: OwnedDirectory,
    authentication: key_file::AuthenticationKey,
}

impl Shelf {
    /// The component, and whether it had to be made.
    fn component(
        &self,
        extension: &str,
        engine: &Engine,
        key: &ArtifactKey<'_>,
        origin: Origin,
    ) -> Result<(Component, bool), ExtensionError> {
        if let Some(component) = self.load(engine, key) {
            return Ok((component, false));
        }
        // Only one process compiles; those who waited for it find the artifact made.
        let lock = self.directory.lock(&format!("{}.lock", key.wasm), LOCK_PATIENCE);
        match &lock {
            Ok(_) => {
                if let Some(component) = self.load(engine, key) {
                    return Ok((component, false));
                }
            }
            Err(error) => warn!(%error, "cannot lock the artifact; compiling without waiting for others"),
        }
        let wasm = origin.read(extension, &key.wasm)?;
        let native = precompile(engine, &wasm, extension)?;
        if let Err(error) = self.store(key, &native) {
            warn!(%error, "the compiled extension could not be kept; it will be compiled again");
        }
        Ok((deserialize(engine, &native, extension)?, true))
    }

    /// None when there is no artifact, or none that can be trusted.
    fn load(&self, engine: &Engine, key: &ArtifactKey<'_>) -> Option<Component> {
        let (record_name, artifact_name) = names(key);
        let record = self.directory.read(&record_name, record::RECORD_BYTES_MAX).ok()??;
        let read = || -> Result<Component, String> {
            let record = Record::verify(&record, &self.authentication, key.engine, &key.wasm)?;
            let native = self
                .directory
                .read(&artifact_name, ARTIFACT_BYTES_MAX)
                .map_err(|error| error.to_string())?
                .ok_or("the artifact is not there")?;
            record.fits(&native)?;
            deserialize(engine, &native, "").map_err(|error| error.to_string())
        };
        match read() {
            Ok(component) => {
                if let Err(error) = self.directory.note_use(&record_name) {
                    debug!(%error, "the use of a compiled extension cannot be noted");
                }
                Some(component)
            }
            Err(reason) => {
                debug!(artifact = %key.wasm, reason, "setting a compiled extension aside");
                self.directory.set_aside(&record_name);
                self.directory.set_aside(&artifact_name);
                None
            }
        }
    }

    /// The artifact first, then the record that vouches for it: a record without its artifact is never seen.
    fn store(&self, key: &ArtifactKey<'_>, native: &[u8]) -> std::io::Result<()> {
        let (record_name, artifact_name) = names(key);
        self.directory.write(&artifact_name, native)?;
        let record = Record::of(native, key.engine, key.wasm);
        self.directory.write(&record_name, &record.seal(&self.authentication))
    }
}

fn names(key: &ArtifactKey<'_>) -> (String, String) {
    (format!("{}.record", key.wasm), format!("{}.cwasm", key.wasm))
}

impl Origin {
    /// The component's bytes, checked against its digest.
    fn read(self, extension: &str, digest: &Digest) -> Result<Vec<u8>, ExtensionError> {
        let (bytes, place) = match self {
            Self::Bytes(bytes) => (bytes, "as it was passed".to_owned()),
            Self::File(path) => (read_component(extension, &path)?, path.display().to_string()),
        };
        if let Some(error) = too_large(extension, bytes.len() as u64) {
            return Err(error);
        }
        if Digest::of(&bytes) != *digest {
            return Err(ExtensionError::Unusable {
                extension: extension.to_owned(),
                reason: format!(
                    "its component {place} is not what was installed (another digest); install it again with \
                     `peat extension add FILE`"
                ),
            });
        }
        Ok(bytes)
    }
}

fn read_component(extension: &str, path: &Path) -> Result<Vec<u8>, ExtensionError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(COMPONENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(ExtensionError::Missing { extension: extension.to_owned(), path: path.display().to_string() })
        }
        Err(error) => Err(ExtensionError::Unusable {
            extension: extension.to_owned(),
            reason: format!("its component {} cannot be read: {error}", path.display()),
        }),
    }
}

fn precompile(engine: &Engine, wasm: &[u8], extension: &str) -> Result<Vec<u8>, ExtensionError> {
    debug!(extension, bytes = wasm.len(), "compiling");
    engine.precompile_component(wasm).map_err(|error| compile_error(extension, &error))
}

fn compile(engine: &Engine, wasm: &[u8], extension: &str) -> Result<Component, ExtensionError> {
    Component::from_binary(engine, wasm).map_err(|error| compile_error(extension, &error))
}

fn compile_error(extension: &str, error: &wasmtime::Error) -> ExtensionError {
    ExtensionError::Compile { extension: extension.to_owned(), reason: crate::failure::one_line(error) }
}

fn deserialize(engine: &Engine, native: &[u8], extension: &str) -> Result<Component, ExtensionError> {
    // SAFETY: `native` was either made by `precompile` of this process a moment ago, or its SHA-256 is vouched for by a
    // record that carries a MAC under this user's own key, which only this user can read and which lies outside the
    // cache. The bytes verified are the bytes loaded; wasmtime copies them into memory of its own.
    unsafe { Component::deserialize(engine, native) }.map_err(|error| compile_error(extension, &error))
}

#[cfg(test)]
mod tests;
