//! The cache as its user sees it: how much is in it, whether it is what it must be, and emptying it.

use std::io;
use std::path::PathBuf;

use super::inventory::{self, Freed, KeptArtifact, RejectedArtifact};
use super::key_file;
use crate::engine::SharedEngine;
use crate::host::HostOptions;

/// The compiled components of one user. Making this touches nothing.
#[derive(Debug, Clone)]
pub struct ArtifactCache {
    directory: PathBuf,
    key_file: PathBuf,
}

impl ArtifactCache {
    /// The cache that a host with these options uses.
    pub fn new(options: &HostOptions) -> Self {
        Self { directory: options.cache_dir.clone(), key_file: options.key_file.clone() }
    }

    /// Everything in it, the artifact that was used last first. A cache that is not there is empty.
    pub fn artifacts(&self) -> io::Result<Vec<KeptArtifact>> {
        inventory::list(&self.directory)
    }

    /// Removes everything, whatever engine it is for and whichever key vouches for it. Processes that run one of the
    /// artifacts go on with it. What somebody makes, or uses outside of this process, stays.
    pub fn clear(&self) -> io::Result<Freed> {
        inventory::remove(&self.directory, &self.artifacts()?)
    }

    /// Checks everything that this user's key vouches for and sets aside what is not what was made here. What is set aside
    /// is made again when it is needed.
    pub fn verify(&self) -> io::Result<Vec<RejectedArtifact>> {
        inventory::verify(&self.directory, &self.key_file)
    }

    /// The fingerprint of this user's key: what is kept under another is vouched for by another `PEAT_HOME`, or by a key that
    /// is gone. None while there is no key.
    pub fn current_key(&self) -> Option<String> {
        key_file::load(&self.key_file).ok().map(|key| key.fingerprint())
    }

    /// The key of this build's engine: artifacts under another are of another version of Peat, or of another processor.
    pub fn current_engine() -> io::Result<String> {
        key_of(SharedEngine::new())
    }

    /// The key of what this build compiles quickly and will optimise.
    pub fn quick_engine() -> io::Result<String> {
        key_of(SharedEngine::quick_compiler())
    }
}

fn key_of(engine: wasmtime::Result<SharedEngine>) -> io::Result<String> {
    match engine {
        Ok(engine) => Ok(engine.key().to_owned()),
        Err(error) => Err(io::Error::other(crate::failure::one_line(&error))),
    }
}
