//! Who changed what: what is kept of commands that change something, as data of the datastore.
//!
//! A run says so in its own record, with no request more. Other commands append one small entry to a partition that no model
//! has, without a lease, so that nobody waits for it. What cannot be sent stays uncommitted on this machine, as results of
//! runs do, and goes with the next sync.

use serde::{Deserialize, Serialize};

use crate::content;
use crate::entry::{ChangeSet, Description, Lifetime, NewEntry};
use crate::hold::{HoldError, HoldRecord};
use crate::hydrate::confirm;
use crate::identifiers::{CommitId, DataName, PartitionName, RunId};
use crate::ports::{Clock, Datastore, LocalStore, PushRequest, Random, StoreError};

/// Partitions, and holds, that an entry names; further ones are counted. So most entries are inlined in the head.
const NAMED_MAX: usize = 20;

/// Longest summary, in characters.
const SUMMARY_CHARACTERS_MAX: usize = 500;

/// Who did something, as the machine says where it was done. Nobody proves it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Actor {
    /// Name of the user.
    pub user: String,
    /// Name of the host.
    pub host: String,
    /// Process id there.
    pub pid: u32,
    /// The command, without the values of its options.
    pub command: String,
}

/// One command that changed something without a run. JSON; unknown keys are ignored, because a newer Peat may have written
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// When it was done, by the wall clock of the host, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Who did it.
    pub by: Actor,
    /// One line: what was done.
    pub summary: String,
    /// What was changed; the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<PartitionName>,
    /// How many there were.
    pub partitions_count: u64,
    /// What was held meanwhile; the first ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<HoldRecord>,
}

impl AuditEntry {
    /// An entry, bounded.
    pub fn new(by: Actor, at_ms: u64, summary: &str, partitions: &[PartitionName], holds: &[HoldRecord]) -> Self {
        let characters = summary.chars().map(|shown| if shown.is_control() { ' ' } else { shown });
        Self {
            at_ms,
            by,
            summary: characters.take(SUMMARY_CHARACTERS_MAX).collect(),
            partitions: partitions.iter().take(NAMED_MAX).cloned().collect(),
            partitions_count: partitions.len() as u64,
            holds: holds.iter().take(NAMED_MAX).cloned().collect(),
        }
    }
}

/// The world of the audit.
#[derive(Clone, Copy)]
pub struct AuditPorts<'a> {
    /// This machine's store.
    pub store: &'a dyn LocalStore,
    /// The shared datastore; none for `local`.
    pub datastore: Option<&'a dyn Datastore>,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Names of entries.
    pub random: &'a dyn Random,
}

impl std::fmt::Debug for AuditPorts<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AuditPorts").finish_non_exhaustive()
    }
}

/// Appends an entry that is kept for `lifetime`. Where the datastore cannot take it now, it stays uncommitted. Cancel safe: an
/// entry whose sending was given up is sent by the next sync, once.
pub async fn append(ports: &AuditPorts<'_>, entry: &AuditEntry, lifetime: Lifetime) -> Result<(), HoldError> {
    let changes = change(ports, entry, lifetime)?;
    let Some(datastore) = ports.datastore else {
        ports.store.commit(&changes)?;
        return Ok(());
    };
    ports.store.stage(&changes, ports.clock.now_ms())?;
    let (commit_id, partition) = (changes.commit_id.clone(), changes.partition.clone());
    let request = PushRequest { changes, lease: None, release: false, may_be_repeated: false };
    let receipt = datastore.push(&request).await?;
    confirm(ports.store, datastore, &commit_id, &partition, &receipt)
}

fn change(ports: &AuditPorts<'_>, entry: &AuditEntry, lifetime: Lifetime) -> Result<ChangeSet, HoldError> {
    let mut random = [0; 6];
    ports.random.fill(&mut random);
    let id = RunId::new(entry.at_ms, random);
    let text = serde_json::to_vec(entry).expect("an entry of strings and numbers always serialises");
    let content = content::in_memory(text);
    let digest = content::digest(&*content)
        .map_err(|error| StoreError::Io { path: "an audit entry".to_owned(), reason: error.to_string() })?;
    let description = Description {
        name: DataName::audit_entry(&id),
        size: content.size(),
        digest,
        content_type: "application/json".to_owned(),
        lifetime,
        tags: Vec::new(),
        created_at_ms: entry.at_ms,
        run_id: id.clone(),
        of_failed_run: false,
    };
    Ok(ChangeSet {
        commit_id: CommitId::parse(id.as_str()).expect("run ids and commit ids follow one rule"),
        partition: PartitionName::audit(),
        append: vec![NewEntry { description, content, version: None, version_cap: None }],
        remove: Vec::new(),
    })
}
