//! What an execution outside of this process needs, in a directory of its own that can be mounted as it is.

use std::path::PathBuf;
use std::sync::Arc;

use peat_core::digest::Digest;

use super::directory::OwnedDirectory;
use super::lock::Lock;
use super::manifest::MANIFEST;

/// Name of the native code in a bundle.
pub const BUNDLE_ARTIFACT: &str = "component.cwasm";

/// The self-contained bundle of one component: native code, and a manifest that says what it is.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The directory, absolute. Nothing in it changes once it is there.
    pub directory: PathBuf,
    /// SHA-256 of the native code. Whoever loads it checks the bytes that it loads.
    pub digest: Digest,
    /// Bytes of the native code.
    pub length: u64,
    kept: Option<Arc<Kept>>,
}

/// A bundle of the cache, while it is used.
#[derive(Debug)]
struct Kept {
    directory: OwnedDirectory,
    _in_use: Lock,
}

impl Bundle {
    /// A bundle that the caller has made and looks after.
    pub fn at(directory: PathBuf, digest: Digest, length: u64) -> Self {
        Self { directory, digest, length, kept: None }
    }

    /// A bundle of the cache. It stays there for as long as this value or a clone of it lives, whatever the cache makes
    /// room for.
    pub(super) fn kept(directory: OwnedDirectory, in_use: Lock, digest: Digest, length: u64) -> Self {
        let place = directory.path().to_owned();
        Self { directory: place, digest, length, kept: Some(Arc::new(Kept { directory, _in_use: in_use })) }
    }

    /// Notes that it was used now. Where it cannot be noted, it is removed sooner.
    pub(super) fn note_use(&self) {
        let _ = self.kept.as_ref().map(|kept| kept.directory.note_use(MANIFEST));
    }

    /// Whether the directory is still what it was when the bundle was found: somebody may have removed it by hand.
    pub(crate) fn is_in_place(&self) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.directory.is_in_place())
    }
}
