//! The extensions of a repository: from `peat.lock`, with their metadata from the index and their components in PEAT_HOME.
//!
//! A component is kept under its digest, so that repositories share it and an installed file never changes. What is in
//! `peat.lock` but not on this machine is installed from its source inside the repository, when that has the digest.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use peat_core::digest::Digest;
use peat_core::identifiers::ExtensionName;
use peat_core::metadata::Metadata;
use peat_core::ports::ExtensionError;
use peat_core::repository::{LockFile, LockedExtension};

use super::components::{COMPONENT_BYTES_MAX, Components};
use super::extension_index::ExtensionIndex;
use super::file_access::{read_bounded, write_new};
use super::index_file::FileStamp;
use super::listed::{Listed, ListedType};
use super::nearest::nearest;
use super::{Home, Repository};
use crate::failure::Failure;

/// An extension that can be used.
#[derive(Debug, Clone)]
pub(crate) struct Installed {
    /// What `peat.lock` says.
    pub(crate) locked: LockedExtension,
    /// What it says of itself.
    pub(crate) metadata: Arc<Metadata>,
    /// Its component.
    pub(crate) path: PathBuf,
}

/// The extensions of one repository.
#[derive(Debug)]
pub(crate) struct Extensions {
    root: PathBuf,
    lock: LockFile,
    home: Home,
    index: ExtensionIndex,
}

impl Extensions {
    /// Reads the index, nothing else.
    pub(crate) fn open(repository: &Repository, home: &Home) -> Self {
        Self {
            root: repository.root.clone(),
            lock: repository.lock.clone(),
            home: home.clone(),
            index: ExtensionIndex::read(&repository.root),
        }
    }

    /// Every extension of `peat.lock`, in its order, usable or not.
    pub(crate) fn all(&mut self) -> Vec<(LockedExtension, Result<Installed, Failure>)> {
        let locked = self.lock.extensions.clone();
        let all = locked.into_iter().map(|locked| (locked.clone(), self.resolve(locked))).collect();
        self.save();
        all
    }

    /// The model types of every extension of `peat.lock`, in its order, as far as a listing shows them.
    pub(crate) fn list(&mut self) -> Vec<(ExtensionName, Result<Vec<ListedType>, Failure>)> {
        let locked = self.lock.extensions.clone();
        let all = locked.into_iter().map(|locked| (locked.name.clone(), self.listed(locked))).collect();
        self.save();
        all
    }

    /// One extension.
    pub(crate) fn get(&mut self, name: &ExtensionName) -> Result<Installed, Failure> {
        let Some(locked) = self.lock.extensions.iter().find(|locked| locked.name == *name).cloned() else {
            let known = self.lock.extensions.iter().map(|locked| locked.name.as_str());
            let advice = match nearest(name.as_str(), known) {
                Some(near) => format!("did you mean {near}?"),
                None => "install it with `peat extension add FILE`".to_owned(),
            };
            return Err(Failure::NotFound(format!("extension {name} is not in peat.lock; {advice}")));
        };
        let installed = self.resolve(locked)?;
        if self.index.is_changed() {
            self.save();
        }
        Ok(installed)
    }

    /// Puts a checked component into place and its metadata into the index; the caller writes `peat.lock`.
    pub(crate) fn install(&mut self, bytes: &[u8], metadata: &Arc<Metadata>) -> Result<Digest, Failure> {
        let digest = Digest::of(bytes);
        self.store(&digest, bytes)?;
        self.note(digest, metadata);
        Ok(digest)
    }

    /// Follows a changed `peat.lock`.
    pub(crate) fn follow(&mut self, lock: &LockFile) {
        self.lock = lock.clone();
        self.save();
    }

    /// Notes the metadata of a component that was just read and is installed.
    fn note(&mut self, digest: Digest, metadata: &Arc<Metadata>) {
        if let Some(file) = FileStamp::of(&self.home.component(&digest)) {
            self.index.insert(digest, file, metadata);
        }
    }

    fn save(&mut self) {
        self.index.save(self.lock.extensions.iter().map(|locked| &locked.digest));
    }

    fn listed(&mut self, locked: LockedExtension) -> Result<Vec<ListedType>, Failure> {
        let file = FileStamp::of(&self.home.component(&locked.digest)).filter(|file| file.bytes == locked.size);
        if let Some(listed) = file.and_then(|file| self.index.get::<Listed>(&locked.digest, &file)) {
            return Ok(listed.models);
        }
        let installed = self.resolve(locked)?;
        Ok(installed.metadata.model_types().iter().map(ListedType::of).collect())
    }

    fn resolve(&mut self, locked: LockedExtension) -> Result<Installed, Failure> {
        let path = self.home.component(&locked.digest);
        let file = FileStamp::of(&path).filter(|file| file.bytes == locked.size);
        if let Some(metadata) = file.and_then(|file| self.index.get(&locked.digest, &file)) {
            return Ok(Installed { metadata: Arc::new(metadata), locked, path });
        }
        let bytes = if file.is_some() { self.installed_bytes(&locked, &path)? } else { None };
        let bytes = match bytes {
            Some(bytes) => bytes,
            None => self.install_from_source(&locked, &path)?,
        };
        let metadata = Arc::new(Components::new(&self.home).metadata(locked.name.as_str(), &bytes)?);
        if metadata.name != locked.name {
            return Err(Failure::InvalidInput(format!(
                "peat.lock: {} is the component of {}; add it again with `peat extension add FILE`",
                locked.name, metadata.name
            )));
        }
        self.note(locked.digest, &metadata);
        Ok(Installed { locked, metadata, path })
    }

    /// The installed file, when it is what it should be.
    fn installed_bytes(&self, locked: &LockedExtension, path: &Path) -> Result<Option<Vec<u8>>, Failure> {
        let bytes = read_bounded(path, COMPONENT_BYTES_MAX)?;
        if Digest::of(&bytes) == locked.digest {
            return Ok(Some(bytes));
        }
        // Damaged: out of the way, and installed again.
        std::fs::remove_file(path).map_err(|source| Failure::file("replace", path, source))?;
        Ok(None)
    }

    fn install_from_source(&self, locked: &LockedExtension, path: &Path) -> Result<Vec<u8>, Failure> {
        let missing = || {
            Failure::Extension(ExtensionError::Missing {
                extension: locked.name.to_string(),
                path: path.display().to_string(),
            })
        };
        let source = locked.source.as_ref().ok_or_else(missing)?;
        let file = self.root.join(source).canonicalize().map_err(|_| {
            Failure::NotFound(format!(
                "extension {} is not installed on this machine, and its source {source} is not there; build it, or \
                 install it with `peat extension add FILE`",
                locked.name
            ))
        })?;
        if !file.starts_with(&self.root) {
            return Err(Failure::InvalidInput(format!(
                "peat.lock: the source {source} of {} leads out of the repository; add it again with `peat extension \
                 add FILE`",
                locked.name
            )));
        }
        let bytes = read_bounded(&file, COMPONENT_BYTES_MAX)?;
        let found = Digest::of(&bytes);
        if found != locked.digest {
            return Err(Failure::InvalidInput(format!(
                "extension {}: {source} has the digest {found}, but peat.lock wants {}; if the new file is right, run \
                 `peat extension add {source}`",
                locked.name, locked.digest
            )));
        }
        self.store(&locked.digest, &bytes)?;
        Ok(bytes)
    }

    fn store(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Failure> {
        self.home.create_extensions()?;
        let path = self.home.component(digest);
        match write_new(&path, bytes) {
            // Somebody else was here first, or it lies there from before: it is the same when its bytes are.
            Err(Failure::File { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => {
                if read_bounded(&path, COMPONENT_BYTES_MAX).is_ok_and(|there| there == bytes) {
                    return Ok(());
                }
                super::file_access::write_atomically(&path, bytes)
            }
            other => other,
        }
    }
}
