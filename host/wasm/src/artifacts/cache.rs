//! The cache as its user sees it: how much is in it, whether it is what it must be, and emptying it.

use std::io;
use std::path::PathBuf;

use super::inventory::{self, KeptArtifact, RejectedArtifact};
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

    /// Removes everything. Processes that run one of the artifacts go on with it. Answers how many bytes came free.
    pub fn clear(&self) -> io::Result<u64> {
        inventory::remove(&self.directory, &self.artifacts()?)
    }

    /// Checks every artifact and sets aside what is not what was made here. What is set aside is made again when it is
    /// needed.
    pub fn verify(&self) -> io::Result<Vec<RejectedArtifact>> {
        inventory::verify(&self.directory, &self.key_file)
    }

    /// The key of this build's engine: artifacts under another are of another version of Peat, or of another processor.
    pub fn current_engine() -> io::Result<String> {
        let engine = SharedEngine::new().map_err(|error| io::Error::other(crate::failure::one_line(&error)))?;
        Ok(engine.key().to_owned())
    }
}
