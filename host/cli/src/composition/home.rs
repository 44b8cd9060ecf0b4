//! The places of this machine: PEAT_HOME and PEAT_CACHE_DIR.

use std::path::PathBuf;

use peat_core::digest::Digest;
use peat_core::identifiers::RepositoryId;

use super::file_access::create_private_directory;
use crate::environment::Environment;
use crate::failure::Failure;

/// Where things lie on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Home {
    home: PathBuf,
    cache: PathBuf,
    cache_bytes_max: u64,
    works_in_background: bool,
}

/// Most bytes of compiled extensions where PEAT_CACHE_SIZE says nothing: some hundred large ones.
const CACHE_BYTES_MAX: u64 = 2 << 30;

impl Home {
    /// By the environment. Touches nothing.
    pub(crate) fn new(environment: &Environment) -> Result<Self, Failure> {
        Ok(Self {
            home: environment.home()?,
            cache: environment.cache()?,
            cache_bytes_max: environment.cache_bytes_max.unwrap_or(CACHE_BYTES_MAX),
            works_in_background: environment.works_in_background,
        })
    }

    /// The component with this digest, installed or not.
    pub(crate) fn component(&self, digest: &Digest) -> PathBuf {
        self.home.join("extensions").join(format!("{digest}.wasm"))
    }

    /// Creates the directory of installed components.
    pub(crate) fn create_extensions(&self) -> Result<PathBuf, Failure> {
        let directory = self.home.join("extensions");
        create_private_directory(&directory)?;
        Ok(directory)
    }

    /// The local store of a repository for one datastore.
    pub(crate) fn store(&self, repository: &RepositoryId, key: &str) -> PathBuf {
        self.home.join("repositories").join(repository.as_str()).join(key)
    }

    /// What runs containers here; where only this user can write.
    pub(crate) fn containers_file(&self) -> PathBuf {
        self.home.join("containers.json")
    }

    /// Compiled artifacts.
    pub(crate) fn cache(&self) -> PathBuf {
        self.cache.clone()
    }

    /// Most bytes of them.
    pub(crate) fn cache_bytes_max(&self) -> u64 {
        self.cache_bytes_max
    }

    /// Whether a command may leave a process behind.
    pub(crate) fn works_in_background(&self) -> bool {
        self.works_in_background
    }

    /// Who optimises extensions in the background.
    pub(crate) fn optimising_file(&self) -> PathBuf {
        self.home.join("optimising.lock")
    }

    /// The key that authenticates compiled artifacts; outside the cache on purpose.
    pub(crate) fn key_file(&self) -> PathBuf {
        self.home.join("artifact-key")
    }
}
