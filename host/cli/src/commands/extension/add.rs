//! `peat extension add`.
//!
//! Everything is checked before anything is written: files first, then grants, `peat.lock` and the index.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use peat_core::digest::Digest;
use peat_core::identifiers::ExtensionName;
use peat_core::metadata::{Kind, Metadata};
use peat_core::repository::{ExtensionGrants, LockedExtension};
use serde_json::json;

use super::{extension_json, provides};
use crate::arguments::{ExtensionAdd, GrantArgument};
use crate::composition::{
    COMPONENT_BYTES_MAX, Components, Context, Extensions, Repository, add_grants, lacking, optimise_later,
    read_bounded, run_interruptible,
};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, ProgressDisplay, Table, Tone};

/// A component that passed every check.
struct Candidate {
    bytes: Vec<u8>,
    metadata: Arc<Metadata>,
    grants: ExtensionGrants,
    locked: LockedExtension,
}

/// Checks and installs components.
pub(super) fn add(context: &Context, arguments: &ExtensionAdd) -> Result<Answer, Failure> {
    let mut repository = context.repository_for_change()?;
    let home = context.home()?;
    let components = Components::new(&home);
    let candidates = read_all(&components, &repository, arguments)?;
    let progress = ProgressDisplay::start(context.screen, context.recorder.holds());
    run_interruptible(async {
        for (candidate, file) in candidates.iter().zip(&arguments.files) {
            Box::pin(components.check(&file.display().to_string(), candidate.bytes.clone(), &candidate.grants)).await?;
        }
        Ok(())
    })?;
    drop(progress);
    let mut extensions = Extensions::open(&repository, &home);
    install(&mut repository, &mut extensions, &candidates)?;
    optimise_later(&home, &repository.root, &components);
    Ok(answer(&candidates))
}

fn read_all(
    components: &Components,
    repository: &Repository,
    arguments: &ExtensionAdd,
) -> Result<Vec<Candidate>, Failure> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut taken = vec![false; arguments.grants.len()];
    for file in &arguments.files {
        let candidate = read(components, repository, file, &arguments.grants, &mut taken)?;
        if let Some(twice) = candidates.iter().find(|other| other.metadata.name == candidate.metadata.name) {
            return Err(Failure::InvalidInput(format!(
                "two of these files are extension {}; give only one",
                twice.metadata.name
            )));
        }
        candidates.push(candidate);
    }
    if let Some(place) = taken.iter().position(|taken| !taken) {
        let (capability, name) = match &arguments.grants[place] {
            GrantArgument::Files { name, .. } => ("files", name),
            GrantArgument::Secrets { name, .. } => ("secrets", name),
        };
        return Err(Failure::InvalidInput(format!(
            "none of these extensions wants {capability}, so --grant {capability}:{name} would allow nothing; leave it out"
        )));
    }
    Ok(candidates)
}

fn read(
    components: &Components,
    repository: &Repository,
    file: &Path,
    given: &[GrantArgument],
    taken: &mut [bool],
) -> Result<Candidate, Failure> {
    let bytes = read_bounded(file, COMPONENT_BYTES_MAX)?;
    let shown = file.display().to_string();
    let metadata = Arc::new(components.metadata(&shown, &bytes)?);
    let mut grants = repository.grants(&metadata.name);
    for (taken, took) in taken.iter_mut().zip(add_grants(&mut grants, &metadata, given)) {
        *taken |= took;
    }
    for directory in grants.files.values() {
        let path = repository.resolve(directory);
        if !path.is_dir() {
            return Err(Failure::NotFound(format!(
                "the granted directory {directory} of {} is not there (looked for {}); relative ones are relative to \
                 the repository",
                metadata.name,
                path.display()
            )));
        }
    }
    if let Some(failure) = lacking(&metadata, &grants, &shown) {
        return Err(failure);
    }
    let locked = LockedExtension {
        name: metadata.name.clone(),
        version: metadata.version.clone(),
        digest: Digest::of(&bytes),
        size: bytes.len() as u64,
        source: source_inside(&repository.root, file),
    };
    Ok(Candidate { bytes, metadata, grants, locked })
}

/// The file relative to the repository, when it lies inside.
fn source_inside(root: &Path, file: &Path) -> Option<String> {
    let file = file.canonicalize().ok()?;
    Some(file.strip_prefix(root).ok()?.to_str()?.to_owned())
}

fn install(repository: &mut Repository, extensions: &mut Extensions, candidates: &[Candidate]) -> Result<(), Failure> {
    let mut grants: BTreeMap<ExtensionName, ExtensionGrants> = repository.config.grants.clone();
    for candidate in candidates {
        extensions.install(&candidate.bytes, &candidate.metadata)?;
        if candidate.grants != ExtensionGrants::default() {
            grants.insert(candidate.metadata.name.clone(), candidate.grants.clone());
        }
    }
    repository.write_grants(&grants)?;
    for candidate in candidates {
        repository.lock.insert(candidate.locked.clone());
    }
    repository.write_lock()?;
    extensions.follow(&repository.lock);
    Ok(())
}

fn answer(candidates: &[Candidate]) -> Answer {
    let mut page = Page::default();
    let mut table = Table::new(&["EXTENSION", "VERSION", "PROVIDES"]);
    for candidate in candidates {
        table.row(vec![
            Cell::toned(candidate.metadata.name.as_str(), Tone::Strong),
            Cell::plain(&candidate.metadata.version),
            Cell::plain(provides(&candidate.metadata)),
        ]);
    }
    page.table(table);
    if let Some(first) = candidates.first() {
        page.hint(match &first.metadata.kind {
            Kind::Datastore(_) => {
                let wants = |capability| first.metadata.wants.iter().any(|want| want.capability == capability);
                let setting = match (wants("directory"), wants("bucket")) {
                    (true, _) => " --setting path=DIR",
                    (_, true) => " --setting bucket=NAME",
                    _ => "",
                };
                format!("next: peat datastore setup {}{setting}", first.metadata.name)
            }
            Kind::Models(types) => {
                let name = types.first().map_or("TYPE", |known| known.name.as_str());
                format!("next: peat model create NAME --type {name}")
            }
        });
    }
    let json: Vec<_> = candidates
        .iter()
        .map(|candidate| extension_json(&candidate.locked, &candidate.metadata, &candidate.grants))
        .collect();
    Answer::new(json!({ "extensions": json }), page)
}
