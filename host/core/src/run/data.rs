//! The data of a run: writes are staged until the commit, reads see what was committed before.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use crate::content::{self, SharedContent};
use crate::entry::{Description, Entry, Lifetime, NewEntry, Tag};
use crate::hold::HoldError;
use crate::hydrate::{self, HydratePorts};
use crate::identifiers::{DataName, ModelName, PartitionName, RunId, Version};
use crate::ports::{EntryFilter, LocalStore, RunData, RunDataError, StoredEntry};
use crate::repository::RetentionRules;

use super::RunPorts;
use super::open::Opened;

/// Most data items that one run writes.
pub const RUN_DATA_ITEMS_MAX: usize = 10_000;

/// Most bytes that one run writes.
pub const RUN_DATA_BYTES_MAX: u64 = 16 * 1024 * 1024 * 1024;

/// Longest content type, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 200;

/// Most tags of one item, and longest name or value of a tag in bytes.
const TAGS_MAX: usize = 32;
const TAG_BYTES_MAX: usize = 256;

/// What a run has written so far.
pub(super) struct StagedData<'a> {
    store: &'a dyn LocalStore,
    /// Where content comes from that is not here; none where the datastore is `local`.
    remote: Option<HydratePorts<'a>>,
    own: PartitionName,
    reads: BTreeMap<ModelName, PartitionName>,
    staged: Mutex<BTreeMap<DataName, Staged>>,
}

struct Staged {
    content: SharedContent,
    content_type: String,
    /// As the method said.
    lifetime: Option<Lifetime>,
    tags: Vec<Tag>,
}

/// What is the same for every item that one run writes.
pub(super) struct Origin<'a> {
    pub(super) run_id: &'a RunId,
    pub(super) created_at_ms: u64,
    pub(super) of_failed_run: bool,
}

impl<'a> StagedData<'a> {
    pub(super) fn new(ports: &RunPorts<'a>, opened: &Opened) -> Self {
        let store = ports.store;
        let remote = ports.datastore.map(|datastore| HydratePorts { store, datastore, hold: ports.hold() });
        let mut reads: BTreeMap<_, _> =
            opened.request.reads.iter().map(|model| (model.name.clone(), model.partition())).collect();
        reads.insert(opened.request.model.name.clone(), opened.partition.clone());
        Self { store, remote, own: opened.partition.clone(), reads, staged: Mutex::default() }
    }

    /// The staged items as new entries, sorted by name. What lives only as long as the run is left out.
    pub(super) fn into_entries(
        self,
        origin: &Origin<'_>,
        rules: &RetentionRules<'_>,
    ) -> Result<Vec<NewEntry>, std::io::Error> {
        let staged = self.staged.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        staged
            .into_iter()
            .map(|(name, item)| (rules.of(&name, item.lifetime), name, item))
            .filter(|((lifetime, _), ..)| *lifetime != Lifetime::Run)
            .map(|((lifetime, version_cap), name, item)| {
                let description = Description {
                    name,
                    size: item.content.size(),
                    digest: content::digest(&*item.content)?,
                    content_type: item.content_type,
                    lifetime,
                    tags: item.tags,
                    created_at_ms: origin.created_at_ms,
                    run_id: origin.run_id.clone(),
                    of_failed_run: origin.of_failed_run,
                };
                Ok(NewEntry { description, content: item.content, version_cap, version: None })
            })
            .collect()
    }

    fn partition_of(&self, model: Option<&ModelName>) -> Result<&PartitionName, RunDataError> {
        let Some(model) = model else { return Ok(&self.own) };
        self.reads.get(model).ok_or_else(|| {
            RunDataError::Denied(format!(
                "this model does not read {model}; name it under `reads:` in the model's definition"
            ))
        })
    }

    /// Before a run the newest versions come; an older one comes when it is asked for.
    async fn bring(&self, stored: &StoredEntry) -> Result<SharedContent, RunDataError> {
        let description = &stored.entry.description;
        let what = || format!("{} version {} of {}", description.name, stored.entry.version, stored.partition);
        if let Some(remote) = self.remote.filter(|remote| remote.datastore.features().hydration) {
            hydrate::fetch_one(&remote, stored).await.map_err(|error| match error {
                HoldError::Store(error) => error.into(),
                HoldError::Datastore(error) => RunDataError::NotBrought(error),
                // A fetch waits for nobody and takes no lease.
                other => RunDataError::NotFound(format!("{}: {other}", what())),
            })?;
        }
        let lost = || RunDataError::NotFound(format!("the content of {} is not on this machine", what()));
        self.store.content(&description.digest)?.ok_or_else(lost)
    }
}

#[async_trait]
impl RunData for StagedData<'_> {
    fn write(
        &self,
        name: DataName,
        content: SharedContent,
        content_type: String,
        lifetime: Option<Lifetime>,
        tags: Vec<Tag>,
    ) -> Result<(), RunDataError> {
        let exhausted = |reason: String| Err(RunDataError::Exhausted(reason));
        if name.is_reserved() {
            return Err(RunDataError::Denied(format!("{name}: names that begin with '.run/' belong to the host")));
        }
        if content_type.len() > CONTENT_TYPE_BYTES_MAX {
            return exhausted(format!("{name}: a content type has at most {CONTENT_TYPE_BYTES_MAX} bytes"));
        }
        let too_long = |tag: &Tag| tag.name.len() > TAG_BYTES_MAX || tag.value.len() > TAG_BYTES_MAX;
        if tags.len() > TAGS_MAX || tags.iter().any(too_long) {
            return exhausted(format!("{name}: at most {TAGS_MAX} tags of at most {TAG_BYTES_MAX} bytes each"));
        }
        let mut staged = self.staged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if !staged.contains_key(&name) && staged.len() >= RUN_DATA_ITEMS_MAX {
            return exhausted(format!("a run writes at most {RUN_DATA_ITEMS_MAX} data items"));
        }
        let others: u64 = staged.iter().filter(|(known, _)| **known != name).map(|(_, item)| item.content.size()).sum();
        if others.saturating_add(content.size()) > RUN_DATA_BYTES_MAX {
            return exhausted(format!("a run writes at most {RUN_DATA_BYTES_MAX} bytes of data"));
        }
        staged.insert(name, Staged { content, content_type, lifetime, tags });
        Ok(())
    }

    async fn read(
        &self,
        model: Option<&ModelName>,
        name: &DataName,
        version: Option<Version>,
    ) -> Result<(Entry, SharedContent), RunDataError> {
        let partition = self.partition_of(model)?;
        let filter = EntryFilter {
            partition: Some(partition.clone()),
            name: Some(name.clone()),
            latest_only: version.is_none(),
            committed_only: true,
            ..EntryFilter::default()
        };
        let stored = self
            .store
            .entries(&filter)?
            .into_iter()
            .find(|stored| version.is_none_or(|version| stored.entry.version == version))
            .ok_or_else(|| {
                let version = version.map(|version| format!(" version {version}")).unwrap_or_default();
                RunDataError::NotFound(format!("there is no data {name}{version} in {partition}"))
            })?;
        let content = match self.store.content(&stored.entry.description.digest)? {
            Some(content) => content,
            None => self.bring(&stored).await?,
        };
        Ok((stored.entry, content))
    }

    fn list(
        &self,
        model: Option<&ModelName>,
        prefix: &str,
        after: Option<&DataName>,
        limit: u32,
    ) -> Result<Vec<Entry>, RunDataError> {
        let partition = self.partition_of(model)?;
        let filter = EntryFilter {
            partition: Some(partition.clone()),
            name_prefix: Some(prefix.to_owned()),
            latest_only: true,
            committed_only: true,
            public_only: true,
            limit: Some(limit),
            after: after.map(|name| (partition.clone(), name.clone())),
            ..EntryFilter::default()
        };
        Ok(self.store.entries(&filter)?.into_iter().map(|stored| stored.entry).collect())
    }
}
