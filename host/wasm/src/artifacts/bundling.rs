//! Making bundles, and finding those that are made.
//!
//! ```text
//! {sha256 of wasm}.bundle/component.cwasm    the artifact: a second name of its file, or a copy
//! {sha256 of wasm}.bundle/manifest.json      what it is, authenticated (manifest.rs)
//! ```
//! A second name is as safe as a copy: no artifact is ever written in place, and both are checked against their digests
//! whenever they are used. A bundle is made under another name and renamed when it is whole.

use std::io;
use std::time::Duration;

use peat_core::metadata::Metadata;
use peat_core::ports::ExtensionError;
use tracing::debug;
use wasmtime::Engine;

use super::bundle::{BUNDLE_ARTIFACT, Bundle};
use super::directory::{OwnedDirectory, unique};
use super::manifest::{MANIFEST, MANIFEST_BYTES_MAX, Manifest};
use super::native_code::precompile;
use super::origin::Origin;
use super::shelf::{Shelf, artifact_name};
use super::{ARTIFACT_BYTES_MAX, ArtifactKey};

/// What the name of a bundle ends with.
pub(super) const BUNDLE_ENDING: &str = ".bundle";

/// How long to wait for a process that is removing a bundle: it has two files.
const REMOVAL_PATIENCE: Duration = Duration::from_secs(5);

/// How often a bundle is made that is gone again before it can be used: somebody empties the cache all the time.
const MAKINGS_MAX: u32 = 3;

/// Why there is no bundle.
pub(super) enum BundleError {
    /// The extension is the reason.
    Extension(ExtensionError),
    /// The place where bundles are kept is.
    Place(io::Error),
}

impl From<ExtensionError> for BundleError {
    fn from(error: ExtensionError) -> Self {
        Self::Extension(error)
    }
}

impl From<io::Error> for BundleError {
    fn from(error: io::Error) -> Self {
        Self::Place(error)
    }
}

impl Shelf {
    /// The bundle of a component, and whether it had to be made.
    pub(super) fn bundle(
        &self,
        engine: &Engine,
        key: &ArtifactKey<'_>,
        origin: Origin,
        metadata: &Metadata,
    ) -> Result<(Bundle, bool), BundleError> {
        if let Some(bundle) = self.find_bundle(key) {
            return Ok((bundle, false));
        }
        // Only one process makes it; those who waited for it find it made.
        let lock = self.lock(key);
        if lock.is_some()
            && let Some(bundle) = self.find_bundle(key)
        {
            return Ok((bundle, false));
        }
        let extension = metadata.name.as_str();
        let wasm = origin.read(extension, &key.wasm)?;
        let native = match self.native(key) {
            Some(native) => native,
            None => {
                let native = precompile(engine, &wasm, extension)?;
                self.keep(key, &native);
                native
            }
        };
        let manifest = Manifest::of(metadata, key, &wasm, &native)?;
        let mut refused = io::Error::other("it is gone whenever it is made");
        for _ in 0..MAKINGS_MAX {
            debug!(extension, bytes = native.len(), "making a bundle");
            if let Err(error) = self.make_bundle(key, &native, &manifest) {
                refused = error;
            }
            // Perhaps the one of another process, which was faster.
            if let Some(bundle) = self.find_bundle(key) {
                return Ok((bundle, true));
            }
        }
        Err(refused.into())
    }

    /// The bundle that is there, for use. None when there is none; what cannot be trusted is set aside.
    pub(super) fn find_bundle(&self, key: &ArtifactKey<'_>) -> Option<Bundle> {
        match self.verified_bundle(key) {
            Ok(bundle) => bundle.inspect(Bundle::note_use),
            Err(reason) => {
                self.set_bundle_aside(key, &reason);
                None
            }
        }
    }

    /// Takes a bundle out of use. Whoever uses it goes on with it.
    pub(super) fn set_bundle_aside(&self, key: &ArtifactKey<'_>, reason: &str) {
        debug!(bundle = %key.wasm, reason, "setting a bundle aside");
        self.directory.set_aside(&bundle_name(key));
    }

    /// The bundle that is there, when it is what its manifest says, which this user's key vouches for.
    pub(super) fn verified_bundle(&self, key: &ArtifactKey<'_>) -> Result<Option<Bundle>, String> {
        let name = bundle_name(key);
        let directory = match self.directory.existing_child(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| error.to_string())?,
        };
        let read = || -> io::Result<_> {
            let in_use = directory.share(MANIFEST, REMOVAL_PATIENCE)?;
            let manifest = directory.read(MANIFEST, MANIFEST_BYTES_MAX)?;
            Ok((in_use, manifest, directory.digest(BUNDLE_ARTIFACT, ARTIFACT_BYTES_MAX)?))
        };
        let read = read().map_err(|error| error.to_string());
        // Whoever was removing it has removed it.
        if !directory.is_child(&self.directory, &name).map_err(|error| error.to_string())? {
            return Ok(None);
        }
        let (in_use, manifest, native) = read?;
        let manifest = manifest.ok_or("its manifest is not there")?;
        let manifest = Manifest::verify(&manifest, &self.authentication, key)?;
        if !manifest.fits(native) {
            return Err("its native code is not what the manifest says".to_owned());
        }
        Ok(Some(Bundle::kept(directory, in_use, manifest.artifact, manifest.length)))
    }

    /// Puts a bundle into place, where there is none.
    pub(super) fn make_bundle(&self, key: &ArtifactKey<'_>, native: &[u8], manifest: &Manifest) -> io::Result<()> {
        let temporary = format!("{}.{}", bundle_name(key), unique()?);
        let directory = self.directory.child(&temporary)?;
        let made = self
            .put_native_code(key, native, manifest, &directory)
            .and_then(|()| directory.write(MANIFEST, &manifest.seal(&self.authentication)))
            .and_then(|()| self.directory.put_in_place(&temporary, &bundle_name(key)));
        if made.is_err() {
            let _ = self.directory.remove(&temporary);
        }
        made
    }

    fn put_native_code(
        &self,
        key: &ArtifactKey<'_>,
        native: &[u8],
        manifest: &Manifest,
        bundle: &OwnedDirectory,
    ) -> io::Result<()> {
        let linked = self.directory.link(&artifact_name(key), bundle, BUNDLE_ARTIFACT).is_ok();
        // Somebody may have exchanged the file since it was read.
        if linked && bundle.digest(BUNDLE_ARTIFACT, ARTIFACT_BYTES_MAX).is_ok_and(|found| manifest.fits(found)) {
            return Ok(());
        }
        // Takes the place of the wrong one.
        bundle.write(BUNDLE_ARTIFACT, native)
    }
}

pub(super) fn bundle_name(key: &ArtifactKey<'_>) -> String {
    format!("{}{BUNDLE_ENDING}", key.wasm)
}
