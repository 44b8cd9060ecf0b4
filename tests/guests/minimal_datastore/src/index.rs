//! The index of one partition: pure.

use std::collections::BTreeMap;

use peat_sdk::datastore::{Lifetime, PushRequest, Receipt, VersionReference};
use serde::{Deserialize, Serialize};

/// How many commits are remembered, to recognise one that is tried again.
const COMMITS_REMEMBERED: usize = 64;

/// Entries and the last commits.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) entries: Vec<Stored>,
    commits: Vec<(String, Vec<(String, u64)>)>,
    /// The newest version of every name there ever was: numbers are not used twice.
    newest: BTreeMap<String, u64>,
}

/// An entry as it is stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stored {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) size: u64,
    pub(crate) digest: String,
    pub(crate) content_type: String,
    pub(crate) lifetime_ms: Option<u64>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) created_at_ms: u64,
    pub(crate) run_id: String,
    pub(crate) of_failed_run: bool,
    pub(crate) location: String,
}

impl Index {
    /// What the commit with this id appended, when it was done before.
    pub(crate) fn commit(&self, id: &str) -> Option<Vec<(String, u64)>> {
        self.commits.iter().find(|(known, _)| known == id).map(|(_, versions)| versions.clone())
    }

    /// The receipt of a commit that appended these versions, some of which may have left since.
    pub(crate) fn receipt(&self, versions: &[(String, u64)], removed: Vec<VersionReference>, etag: String) -> Receipt {
        let is = |stored: &&Stored, name: &str, version: u64| stored.name == name && stored.version == version;
        let mut receipt = Receipt { entries: Vec::new(), collected: Vec::new(), removed, version: etag, lease: None };
        for (position, (name, version)) in (0..).zip(versions) {
            match self.entries.iter().find(|stored| is(stored, name, *version)) {
                Some(stored) => receipt.entries.push(stored.clone().into()),
                None => receipt.collected.push(position),
            }
        }
        receipt
    }

    /// Applies a push; answers the versions that were appended and what left.
    pub(crate) fn apply(
        &mut self,
        request: &PushRequest,
        location: impl Fn(&str) -> String,
    ) -> (Vec<(String, u64)>, Vec<VersionReference>) {
        let mut removed = Vec::new();
        let mut appended = Vec::new();
        for new in &request.append {
            let newest = self.newest.entry(new.name.clone()).or_default();
            *newest = new.version.unwrap_or(*newest + 1);
            appended.push((new.name.clone(), *newest));
            self.entries.push(Stored {
                name: new.name.clone(),
                version: *newest,
                size: new.size,
                digest: new.digest.clone(),
                content_type: new.content_type.clone(),
                lifetime_ms: match new.lifetime {
                    Lifetime::DurationMs(duration_ms) => Some(duration_ms),
                    Lifetime::Infinite | Lifetime::Run => None,
                },
                tags: new.tags.iter().map(|tag| (tag.name.clone(), tag.value.clone())).collect(),
                created_at_ms: new.created_at_ms,
                run_id: new.run_id.clone(),
                of_failed_run: new.of_failed_run,
                location: location(&new.digest),
            });
            if let Some(cap) = new.version_cap {
                let through = newest.saturating_sub(u64::from(cap));
                self.remove(&new.name, |version| version <= through, &mut removed);
            }
        }
        for reference in &request.remove {
            self.remove(&reference.name, |version| version == reference.version, &mut removed);
        }
        self.commits.push((request.commit_id.clone(), appended.clone()));
        let excess = self.commits.len().saturating_sub(COMMITS_REMEMBERED);
        self.commits.drain(..excess);
        (appended, removed)
    }

    fn remove(&mut self, name: &str, leaves: impl Fn(u64) -> bool, removed: &mut Vec<VersionReference>) {
        self.entries.retain(|stored| {
            let stays = stored.name != name || !leaves(stored.version);
            if !stays {
                removed.push(VersionReference { name: stored.name.clone(), version: stored.version });
            }
            stays
        });
    }
}
