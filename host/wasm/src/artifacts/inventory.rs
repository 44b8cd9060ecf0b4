//! What lies in the cache, across all engines and keys: for whoever looks, verifies, clears, and keeps it within its bound.
//!
//! What there is of one component begins with its SHA-256: native code, record, bundle, lock, what was set aside, what a
//! killed process left half-written. It is counted and removed together. Whatever else somebody puts into the directory is
//! neither counted nor touched.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::Duration;

use peat_core::digest::Digest;
use rustix::fs::FileType;

use super::bundling::{BUNDLE_ENDING, bundle_name};
use super::directory::{KeptEntry, OwnedDirectory};
use super::manifest::MANIFEST;
use super::shelf::{RECORD_ENDING, Shelf, lock_name};
use super::{ArtifactKey, VERSION, key_file};

/// Length of a SHA-256 in hexadecimal digits.
const DIGEST_DIGITS: usize = 64;

/// What there is of one component, for one engine and by one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptArtifact {
    /// Key of the engine that it is for.
    pub engine: String,
    /// Fingerprint of the key that vouches for it.
    pub key: String,
    /// SHA-256 of its component.
    pub component: Digest,
    /// All its files together, in bytes.
    pub bytes: u64,
    /// When it was used last, in milliseconds since 1970.
    pub used_ms: u64,
    /// Whether it has a record. One without is of no use: it was set aside, or its making was broken off.
    pub usable: bool,
    /// Whether it has a bundle: it was run outside of a process of Peat.
    pub bundled: bool,
}

/// Something that was not what it must be, and was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedArtifact {
    /// Key of the engine that it was for.
    pub engine: String,
    /// SHA-256 of its component.
    pub component: Digest,
    /// What was wrong.
    pub reason: String,
}

/// What came of removing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freed {
    /// So many bytes came free.
    pub bytes: u64,
    /// So many artifacts stayed because somebody makes them or uses their bundle.
    pub in_use: usize,
}

/// All artifacts in `cache_dir`, the one that was used last first. A cache that is not there is empty.
pub(super) fn list(cache_dir: &Path) -> io::Result<Vec<KeptArtifact>> {
    let mut kept = Vec::new();
    for_each_shelf(cache_dir, |engine, key, directory| {
        for (component, group) in groups(&directory)? {
            kept.push(artifact(engine, key, component, &group));
        }
        Ok(())
    })?;
    kept.sort_by(|one, other| other.used_ms.cmp(&one.used_ms).then_with(|| one.component.cmp(&other.component)));
    Ok(kept)
}

/// Removes these artifacts, but those that somebody makes, or whose bundle somebody uses. Processes that have one loaded go
/// on with it.
pub(super) fn remove(cache_dir: &Path, artifacts: &[KeptArtifact]) -> io::Result<Freed> {
    let mut freed = Freed::default();
    for_each_shelf(cache_dir, |engine, key, directory| {
        let is_here = |artifact: &&KeptArtifact| artifact.engine == engine && artifact.key == key;
        for artifact in artifacts.iter().filter(is_here) {
            match remove_one(engine, artifact.component, &directory)? {
                Some(bytes) => freed.bytes += bytes,
                None => freed.in_use += 1,
            }
        }
        Ok(())
    })?;
    Ok(freed)
}

/// Removes what there is of one component; none when somebody makes it or uses it.
fn remove_one(engine: &str, component: Digest, directory: &OwnedDirectory) -> io::Result<Option<u64>> {
    let key = ArtifactKey { engine, wasm: component };
    let lock = lock_name(&key);
    let Ok(_lock) = directory.lock(&lock, Duration::ZERO) else { return Ok(None) };
    let Some(group) = groups(directory)?.remove(&component) else { return Ok(Some(0)) };
    // The bundle first, and no use of it begins before it is gone. One that cannot be locked cannot be used.
    let bundle = directory.existing_child(&bundle_name(&key)).and_then(|bundle| bundle.take_alone(MANIFEST));
    if matches!(bundle, Ok(None)) {
        return Ok(None);
    }
    let mut names = group.names;
    // Then the record: one without its artifact is never seen. The lock last: who comes meanwhile waits for it.
    names.sort_by_key(|name| (!name.ends_with(BUNDLE_ENDING), !name.ends_with(RECORD_ENDING), *name == lock));
    for name in &names {
        directory.remove(name)?;
    }
    Ok(Some(bytes(&group.files)))
}

/// Checks every artifact and every bundle that this user's key vouches for; sets aside what does not fit. What another
/// process is making is left alone, and so is what another key vouches for: only that key can tell.
pub(super) fn verify(cache_dir: &Path, key_path: &Path) -> io::Result<Vec<RejectedArtifact>> {
    let mut rejected = Vec::new();
    let authentication = match key_file::load(key_path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(rejected),
        other => other.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", key_path.display())))?,
    };
    let own = authentication.fingerprint();
    for_each_shelf(cache_dir, |engine, key, directory| {
        if key != own {
            return Ok(());
        }
        let components: Vec<Digest> = groups(&directory)?.into_keys().collect();
        let shelf = Shelf { directory, authentication: authentication.clone() };
        for component in components {
            let reasons = verify_one(&shelf, &ArtifactKey { engine, wasm: component });
            let rejection = |reason| RejectedArtifact { engine: engine.to_owned(), component, reason };
            rejected.extend(reasons.into_iter().map(rejection));
        }
        Ok(())
    })?;
    Ok(rejected)
}

/// What is wrong with what there is of one component. Nothing is, while somebody makes it.
fn verify_one(shelf: &Shelf, key: &ArtifactKey<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    let Ok(_lock) = shelf.directory.lock(&lock_name(key), Duration::ZERO) else { return reasons };
    if let Err(reason) = shelf.verified(key, OwnedDirectory::digest) {
        shelf.set_aside(key, &reason);
        reasons.push(reason);
    }
    if let Err(reason) = shelf.verified_bundle(key) {
        shelf.set_bundle_aside(key, &reason);
        reasons.push(format!("its bundle: {reason}"));
    }
    reasons
}

/// Visits every directory of artifacts with the key of its engine and the fingerprint of its key. What belongs to somebody
/// else, or could be written by others, is none: it is not used either. What goes meanwhile is left out.
fn for_each_shelf(
    cache_dir: &Path,
    mut visit: impl FnMut(&str, &str, OwnedDirectory) -> io::Result<()>,
) -> io::Result<()> {
    let version = match OwnedDirectory::open(std::path::absolute(cache_dir)?.join(VERSION)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for engine in version.children()? {
        let Some(of_engine) = usable(version.existing_child(&engine))? else { continue };
        for key in usable(of_engine.children())?.unwrap_or_default() {
            if let Some(shelf) = usable(of_engine.existing_child(&key))? {
                visit(&engine, &key, shelf)?;
            }
        }
    }
    Ok(())
}

fn usable<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What there is of one component.
#[derive(Default)]
struct Group {
    /// What begins with its digest.
    names: Vec<String>,
    /// The files under these names, and in the directories that have one.
    files: Vec<KeptEntry>,
}

fn groups(directory: &OwnedDirectory) -> io::Result<BTreeMap<Digest, Group>> {
    let mut groups: BTreeMap<Digest, Group> = BTreeMap::new();
    for entry in directory.entries()? {
        let Some((digits, ending)) = entry.name.split_at_checked(DIGEST_DIGITS) else { continue };
        let Some(component) = Digest::parse(digits).ok().filter(|_| ending.starts_with('.')) else { continue };
        let group = groups.entry(component).or_default();
        group.names.push(entry.name.clone());
        if entry.kind != FileType::Directory {
            group.files.push(entry);
        } else if let Some(inside) = usable(directory.existing_child(&entry.name))? {
            group.files.extend(usable(inside.entries())?.unwrap_or_default());
        }
    }
    Ok(groups)
}

fn artifact(engine: &str, key: &str, component: Digest, group: &Group) -> KeptArtifact {
    let latest = |is_looked_at: &dyn Fn(&&KeptEntry) -> bool| {
        group.files.iter().filter(is_looked_at).map(|file| file.changed_ms).max()
    };
    let noted = latest(&|file| file.name.ends_with(RECORD_ENDING) || file.name == MANIFEST);
    KeptArtifact {
        engine: engine.to_owned(),
        key: key.to_owned(),
        component,
        bytes: bytes(&group.files),
        used_ms: noted.or_else(|| latest(&|_| true)).unwrap_or(0),
        usable: group.names.iter().any(|name| name.ends_with(RECORD_ENDING)),
        bundled: group.names.iter().any(|name| name.ends_with(BUNDLE_ENDING)),
    }
}

/// Bytes on the disk: a file with two names is there once.
fn bytes(files: &[KeptEntry]) -> u64 {
    let mut seen = BTreeSet::new();
    files.iter().filter(|file| seen.insert(file.inode)).map(|file| file.bytes).sum()
}
