//! What lies in the cache, across all engines: for whoever looks, verifies, clears, and keeps it within its bound.
//!
//! Files of one artifact share the SHA-256 of its component as the beginning of their names: native code, record, lock,
//! what was set aside, what a killed process left half-written. They are counted and removed together. Whatever else
//! somebody puts into the directory is neither counted nor touched.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use peat_core::digest::Digest;

use super::directory::{KeptFile, OwnedDirectory};
use super::record::{RECORD_BYTES_MAX, Record};
use super::{ARTIFACT_BYTES_MAX, ArtifactKey, VERSION, key_file, names};

/// Length of a SHA-256 in hexadecimal digits.
const DIGEST_DIGITS: usize = 64;

/// One compiled component in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptArtifact {
    /// Key of the engine that it is for.
    pub engine: String,
    /// SHA-256 of its component.
    pub component: Digest,
    /// All its files together, in bytes.
    pub bytes: u64,
    /// When it was used last, in milliseconds since 1970.
    pub used_ms: u64,
    /// Whether it has a record. One without is of no use: it was set aside, or its making was broken off.
    pub usable: bool,
}

/// An artifact that was not what it must be, and was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedArtifact {
    /// Key of the engine that it was for.
    pub engine: String,
    /// SHA-256 of its component.
    pub component: Digest,
    /// What was wrong.
    pub reason: String,
}

/// All artifacts in `cache_dir`, the one that was used last first. A cache that is not there is empty.
pub(super) fn list(cache_dir: &Path) -> io::Result<Vec<KeptArtifact>> {
    let mut kept = Vec::new();
    for_each_engine(cache_dir, |engine, directory| {
        kept.extend(groups(directory)?.into_iter().map(|(component, files)| artifact(engine, component, &files)));
        Ok(())
    })?;
    kept.sort_by(|one, other| other.used_ms.cmp(&one.used_ms).then_with(|| one.component.cmp(&other.component)));
    Ok(kept)
}

/// Removes these artifacts. Processes that have one loaded go on with it. Answers how many bytes came free.
pub(super) fn remove(cache_dir: &Path, artifacts: &[KeptArtifact]) -> io::Result<u64> {
    let mut freed = 0;
    for_each_engine(cache_dir, |engine, directory| {
        let doomed: Vec<&KeptArtifact> = artifacts.iter().filter(|artifact| artifact.engine == engine).collect();
        if doomed.is_empty() {
            return Ok(());
        }
        let mut groups = groups(directory)?;
        for artifact in doomed {
            let mut files = groups.remove(&artifact.component).unwrap_or_default();
            // The record first: one without its artifact is never seen.
            files.sort_by_key(|file| !file.name.ends_with(".record"));
            for file in files {
                directory.remove(&file.name)?;
                freed += file.bytes;
            }
        }
        Ok(())
    })?;
    Ok(freed)
}

/// Checks every artifact against its record, and every record against this user's key; sets aside what does not fit. One
/// that another process is making is left alone.
pub(super) fn verify(cache_dir: &Path, key_path: &Path) -> io::Result<Vec<RejectedArtifact>> {
    let mut rejected = Vec::new();
    for_each_engine(cache_dir, |engine, directory| {
        let authentication = key_file::load_or_create(key_path)?;
        for (component, files) in groups(directory)? {
            if !artifact(engine, component, &files).usable {
                continue;
            }
            let key = ArtifactKey { engine, wasm: component };
            let Ok(_lock) = directory.lock(&format!("{component}.lock"), Duration::ZERO) else { continue };
            if let Err(reason) = check(directory, &authentication, &key) {
                let (record, native) = names(&key);
                directory.set_aside(&record);
                directory.set_aside(&native);
                rejected.push(RejectedArtifact { engine: engine.to_owned(), component, reason });
            }
        }
        Ok(())
    })?;
    Ok(rejected)
}

fn check(
    directory: &OwnedDirectory,
    authentication: &key_file::AuthenticationKey,
    key: &ArtifactKey<'_>,
) -> Result<(), String> {
    let (record, native) = names(key);
    let read = |name: &str, limit| {
        let bytes = directory.read(name, limit).map_err(|error| format!("{name}: {error}"))?;
        bytes.ok_or_else(|| format!("{name} is not there"))
    };
    let record = Record::verify(&read(&record, RECORD_BYTES_MAX)?, authentication, key.engine, &key.wasm)?;
    record.fits(&read(&native, ARTIFACT_BYTES_MAX)?)
}

fn for_each_engine(cache_dir: &Path, mut visit: impl FnMut(&str, &OwnedDirectory) -> io::Result<()>) -> io::Result<()> {
    let versions = match OwnedDirectory::open(cache_dir.join(VERSION)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for engine in versions.children()? {
        visit(&engine, &versions.child(&engine)?)?;
    }
    Ok(())
}

fn groups(directory: &OwnedDirectory) -> io::Result<BTreeMap<Digest, Vec<KeptFile>>> {
    let mut groups: BTreeMap<Digest, Vec<KeptFile>> = BTreeMap::new();
    for file in directory.files()? {
        if let Some((digits, ending)) = file.name.split_at_checked(DIGEST_DIGITS)
            && ending.starts_with('.')
            && let Ok(component) = Digest::parse(digits)
        {
            groups.entry(component).or_default().push(file);
        }
    }
    Ok(groups)
}

fn artifact(engine: &str, component: Digest, files: &[KeptFile]) -> KeptArtifact {
    let record = files.iter().find(|file| file.name.ends_with(".record"));
    let newest = files.iter().map(|file| file.changed_ms).max().unwrap_or(0);
    KeptArtifact {
        engine: engine.to_owned(),
        component,
        bytes: files.iter().map(|file| file.bytes).sum(),
        used_ms: record.map_or(newest, |record| record.changed_ms),
        usable: record.is_some(),
    }
}
