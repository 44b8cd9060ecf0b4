//! Compiled components, kept between commands.
//!
//! ```text
//! {cache}/v1/{engine key}/{key fingerprint}/{sha256 of wasm}.cwasm     native code
//!                                          /{sha256 of wasm}.record    what it must be, authenticated (record.rs)
//!                                          /{sha256 of wasm}.bundle/   both for an execution elsewhere (bundling.rs)
//!                                          /{sha256 of wasm}.lock      single flight between processes (lock.rs)
//! ```
//! Loading native code runs it with the rights of this process, so nothing is loaded that this user's key does not vouch
//! for: an artifact is read once, into memory that is then sealed, verified, and those very bytes are loaded. Whatever does
//! not fit is set aside and made again; a cache that cannot be used costs time, never an error. Files are written under a
//! unique name, synced and renamed; none is ever written in place.
//!
//! A large component is compiled twice: first in less than half the time for whoever waits for it, later, when nobody waits,
//! with optimisation. The two have different engine keys, and the first goes when the second is there.
//!
//! Every key has a directory of its own, so that two `PEAT_HOME` share a cache without seeing each other's artifacts as
//! forged. A bundle is made when a component is first run outside of this process, never before.
//!
//! The cache has a bound over all engines and keys. Whoever adds something removes what was not used for longest until the
//! rest fits; use is noted as the modification time of the record and of the manifest. Removing a file that another
//! process has open takes nothing from it; a bundle that is in use stays.

mod bundle;
mod bundling;
mod cache;
mod directory;
mod inventory;
mod key_file;
mod lock;
mod manifest;
mod native_code;
mod origin;
mod record;
mod sealed_memory;
mod shelf;

use std::io;
use std::path::Path;

use peat_core::digest::Digest;
use peat_core::metadata::Metadata;
use peat_core::ports::ExtensionError;
use tracing::{debug, warn};
use wasmtime::component::Component;

pub use self::bundle::{BUNDLE_ARTIFACT, Bundle};
pub use self::cache::ArtifactCache;
pub use self::inventory::{Freed, KeptArtifact, RejectedArtifact};
pub(crate) use self::origin::Origin;

use self::bundling::BundleError;
use self::directory::OwnedDirectory;
use self::shelf::Shelf;
use crate::engine::SharedEngine;

/// Largest artifact that is read, in bytes: native code is up to eight times its wasm, and the largest wasm has 64 MiB.
const ARTIFACT_BYTES_MAX: u64 = 1024 * 1024 * 1024;

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

/// What compiles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compilers<'a> {
    /// Optimises. Everything runs on it.
    pub(crate) engine: &'a SharedEngine,
    /// What is used first where nothing is there yet; none where the optimised code is made at once.
    pub(crate) quick: Option<&'a SharedEngine>,
}

/// What was found or made.
#[derive(Debug)]
pub(crate) struct Prepared<T> {
    pub(crate) value: T,
    /// It had to be made.
    pub(crate) was_made: bool,
    /// It was compiled quickly: [`Artifacts::optimise`] is left for later.
    pub(crate) is_quick: bool,
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
    /// The component, from its artifact or compiled. Blocks: on the disk, on another process that compiles the same, and for
    /// as long as compiling takes.
    pub(crate) fn component(
        &self,
        extension: &str,
        compilers: Compilers<'_>,
        wasm: Digest,
        origin: Origin,
    ) -> Result<Prepared<Component>, ExtensionError> {
        let engine = compilers.engine.engine();
        let key = compilers.optimised(wasm);
        let shelf = match self.open(&key) {
            Ok(shelf) => shelf,
            Err(error) => {
                warn!(cache = %self.cache_dir.display(), %error, "compiled extensions cannot be kept; compiling again");
                let value = native_code::compile(engine, &origin.read(extension, &wasm)?, extension)?;
                return Ok(Prepared { value, was_made: true, is_quick: false });
            }
        };
        let mut making = (compilers.engine, shelf, key);
        if let Some(quick) = compilers.quick {
            if let Some(value) = making.1.load(engine, &key) {
                return Ok(Prepared { value, was_made: false, is_quick: false });
            }
            let key = ArtifactKey { engine: quick.key(), wasm };
            if let Ok(shelf) = self.open(&key) {
                making = (quick, shelf, key);
            }
        }
        let (compiler, shelf, key) = making;
        let (value, was_made) = shelf.component(extension, (compiler.engine(), engine), &key, origin)?;
        if was_made {
            self.make_room(&shelf, &key);
        }
        Ok(Prepared { value, was_made, is_quick: compiler.key() != compilers.engine.key() })
    }

    /// The bundle of a component; compiled only where there is no artifact either. Blocks as [`Artifacts::component`] does.
    /// Where nothing can be kept there is no bundle: it is a place on a disk.
    pub(crate) fn bundle(
        &self,
        compilers: Compilers<'_>,
        wasm: Digest,
        origin: Origin,
        metadata: &Metadata,
    ) -> Result<Prepared<Bundle>, ExtensionError> {
        let bundled = self.try_bundle(compilers, wasm, origin, metadata);
        bundled.map_err(|error| match error {
            BundleError::Extension(error) => error,
            BundleError::Place(error) => {
                let advice = "to run outside of this process it needs a place there: set PEAT_CACHE_DIR to another \
                              directory, or run it in-process";
                self.unusable(metadata.name.as_str(), "making its bundle", &error, advice)
            }
        })
    }

    fn try_bundle(
        &self,
        compilers: Compilers<'_>,
        wasm: Digest,
        origin: Origin,
        metadata: &Metadata,
    ) -> Result<Prepared<Bundle>, BundleError> {
        let key = compilers.optimised(wasm);
        let shelf = self.open(&key)?;
        let quick = match compilers.quick {
            None => None,
            Some(quick) => {
                if let Some(value) = shelf.find_bundle(&key) {
                    return Ok(Prepared { value, was_made: false, is_quick: false });
                }
                Some(quick).filter(|_| !shelf.has(&key))
            }
        };
        let (compiler, shelf, key) = match quick {
            None => (compilers.engine, shelf, key),
            Some(quick) => {
                let key = ArtifactKey { engine: quick.key(), wasm };
                (quick, self.open(&key)?, key)
            }
        };
        let (value, was_made) = shelf.bundle(compiler.engine(), &key, origin, metadata)?;
        if was_made {
            self.make_room(&shelf, &key);
        }
        Ok(Prepared { value, was_made, is_quick: quick.is_some() })
    }

    /// Sees to it that there is optimised code, and lets go of what was compiled quickly, but a bundle that is in use. Answers
    /// whether it had to be made. Blocks for as long as compiling takes.
    pub(crate) fn optimise(
        &self,
        extension: &str,
        engine: &SharedEngine,
        quick: &SharedEngine,
        wasm: Digest,
        origin: Origin,
    ) -> Result<bool, ExtensionError> {
        let unusable = |error| {
            let advice = "compiled code needs a place there: set PEAT_CACHE_DIR to another directory";
            self.unusable(extension, "compiling it", &error, advice)
        };
        let key = ArtifactKey { engine: engine.key(), wasm };
        let shelf = self.open(&key).map_err(unusable)?;
        let was_made = shelf.prepare(extension, engine.engine(), &key, origin)?;
        let fingerprint = shelf.authentication.fingerprint();
        let mut artifacts = inventory::list(self.cache_dir).map_err(unusable)?;
        artifacts.retain(|kept| kept.component == wasm && kept.engine == quick.key() && kept.key == fingerprint);
        if !artifacts.is_empty()
            && let Err(error) = inventory::remove(self.cache_dir, &artifacts)
        {
            debug!(%error, "what was compiled quickly could not be removed");
        }
        if was_made {
            self.make_room(&shelf, &key);
        }
        Ok(was_made)
    }

    fn unusable(&self, extension: &str, call: &str, error: &io::Error, advice: &str) -> ExtensionError {
        ExtensionError::Host {
            extension: extension.to_owned(),
            call: call.to_owned(),
            reason: format!("{}: {error}; {advice}", self.cache_dir.display()),
        }
    }

    fn open(&self, key: &ArtifactKey<'_>) -> io::Result<Shelf> {
        let authentication = key_file::load_or_create(self.key_file)?;
        let cache = OwnedDirectory::create(&std::path::absolute(self.cache_dir)?)?;
        let directory = cache.child(VERSION)?.child(key.engine)?.child(&authentication.fingerprint())?;
        Ok(Shelf { directory, authentication })
    }

    /// Removes what was not used for longest, until the rest fits. What was just made always stays.
    fn make_room(&self, shelf: &Shelf, newest: &ArtifactKey<'_>) {
        let fingerprint = shelf.authentication.fingerprint();
        let is_newest = |artifact: &KeptArtifact| {
            artifact.component == newest.wasm && artifact.engine == newest.engine && artifact.key == fingerprint
        };
        let made_room = inventory::list(self.cache_dir).and_then(|artifacts| {
            let mut room = self.bytes_max;
            let mut doomed = Vec::new();
            let (first, others): (Vec<_>, Vec<_>) = artifacts.into_iter().partition(is_newest);
            for artifact in first.into_iter().chain(others) {
                match room.checked_sub(artifact.bytes) {
                    Some(left) => room = left,
                    None if is_newest(&artifact) => room = 0,
                    None => doomed.push(artifact),
                }
            }
            if doomed.is_empty() { Ok(Freed::default()) } else { inventory::remove(self.cache_dir, &doomed) }
        });
        match made_room {
            Ok(Freed { bytes: 0, .. }) => {}
            Ok(Freed { bytes, .. }) => debug!(bytes, "removed compiled extensions that were not used for longest"),
            Err(error) => warn!(%error, "cannot keep the compiled extensions within their bound"),
        }
    }
}

impl<'a> Compilers<'a> {
    fn optimised(&self, wasm: Digest) -> ArtifactKey<'a> {
        ArtifactKey { engine: self.engine.key(), wasm }
    }
}

#[cfg(test)]
mod tests;
