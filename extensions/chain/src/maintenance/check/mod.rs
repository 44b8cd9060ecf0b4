//! Checking: is everything there that is reachable, and is it what was written? Takes no lock and writes nothing.
//!
//! A partition's head is read, then its segments, and then what its records name is looked for in a listing, or read and
//! compared with its digest. Writers and collectors go on meanwhile. So what looks damaged is a suspicion first: the head
//! is read once more, and only what it still names is damage. What it names was there before it was written, and nobody
//! deletes what is named.

mod content;
mod partition;
mod roots;

pub(super) use content::place_key;
pub(super) use partition::count;

use std::collections::BTreeSet;
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::error::{Error, Result};
use crate::keys;
use crate::limits::{CHECK_STEP_MS, CURSOR_BYTES_MAX, DAMAGE_TOLD_MAX};
use crate::ports::World;
use crate::root::Address;

/// What is to be checked.
#[derive(Debug, Clone, Default)]
pub struct CheckRequest {
    /// The namespace.
    pub namespace: String,
    /// Only these; none: all of the namespace.
    pub partitions: Option<Vec<String>>,
    /// Partitions that the caller knows of, on the first page of a whole namespace: one of them without a head has lost it.
    pub expected: Vec<String>,
    /// Read every content, too, and compare its digest.
    pub read_data: bool,
    /// Where the previous page ended.
    pub cursor: Option<String>,
}

/// Which part of the store is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The store's record or the namespace root.
    Root,
    /// The head of a partition.
    Head,
    /// A segment of its index.
    Segment,
    /// Content of entries.
    Content,
    /// What the head counts is not what there is.
    Totals,
}

/// A version whose content is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedVersion {
    /// Data name.
    pub name: String,
    /// Version.
    pub version: u64,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the content that belongs there, hexadecimal.
    pub digest: String,
}

/// Something that is damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The partition; none: the namespace or the store.
    pub partition: Option<String>,
    /// What it is.
    pub part: Part,
    /// Its key.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
    /// Versions that are concerned, at most [`crate::limits::DAMAGED_VERSIONS_TOLD_MAX`]. Of a segment only their number is known.
    pub versions: Vec<DamagedVersion>,
    /// How many are concerned.
    pub versions_total: u64,
}

/// What was found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckPage {
    /// What is damaged, at most [`DAMAGE_TOLD_MAX`].
    pub damage: Vec<Damage>,
    /// How much is.
    pub damage_total: u64,
    /// Partitions that were checked to their end.
    pub partitions: u64,
    /// Entries in their indexes.
    pub entries: u64,
    /// Bytes of content that were read.
    pub bytes_read: u64,
    /// Objects that nothing names: uploads under way, or of commits that never came, and segments that were replaced.
    pub orphans: u64,
    /// Their bytes.
    pub orphan_bytes: u64,
    /// To go on.
    pub cursor: Option<String>,
    /// Partitions to check altogether.
    pub partitions_total: u64,
}

impl CheckPage {
    fn add(&mut self, damage: Damage) {
        self.damage_total += 1;
        if self.damage.len() < DAMAGE_TOLD_MAX {
            self.damage.push(damage);
        }
    }
}

/// Where a check goes on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    /// After this partition.
    after: String,
    /// In the next one, after the content of this version.
    read: Option<(String, u64)>,
}

impl<W: World> Chain<W> {
    /// Checks some of the namespace. One listing per 1,000 partitions; for each one read of its head and of each segment, and
    /// a listing per 1,000 objects; of a whole namespace that is listed once more, for heads that are lost; with `read_data` all content, each byte once. Cancel safe.
    pub async fn check(&self, request: &CheckRequest) -> Result<CheckPage> {
        keys::check_namespace(&request.namespace)?;
        let named = request.partitions.iter().flatten().chain(&request.expected);
        named.map(String::as_str).try_for_each(keys::check_partition)?;
        let mut cursor = parse(request.cursor.as_deref())?;
        let partitions = match &request.partitions {
            Some(partitions) => partitions.iter().cloned().collect(),
            None => self.head_names(&request.namespace).await?,
        };
        let mut page = CheckPage { partitions_total: partitions.len() as u64, ..CheckPage::default() };
        if request.cursor.is_none() {
            self.check_roots(&request.namespace, !partitions.is_empty(), &mut page).await?;
            if request.partitions.is_none() {
                self.check_absent(request, &partitions, &mut page).await?;
            }
        }
        let deadline_ms = self.world.elapsed_ms().saturating_add(CHECK_STEP_MS);
        let from = match cursor.after.as_str() {
            "" => Bound::Unbounded,
            after => Bound::Excluded(after.to_owned()),
        };
        for partition in partitions.range((from, Bound::Unbounded)) {
            if self.world.elapsed_ms() >= deadline_ms && page.partitions > 0 {
                page.cursor = Some(text(&cursor));
                return Ok(page);
            }
            let address = Address::new(&request.namespace, partition);
            let read = cursor.read.take();
            cursor.read =
                self.check_partition(address, request.read_data, read.as_ref(), deadline_ms, &mut page).await?;
            if cursor.read.is_some() {
                page.cursor = Some(text(&cursor));
                return Ok(page);
            }
            page.partitions += 1;
            cursor.after.clone_from(partition);
        }
        Ok(page)
    }

    /// The partitions of a namespace that have a head.
    async fn head_names(&self, namespace: &str) -> Result<BTreeSet<String>> {
        let mut names = BTreeSet::new();
        let mut cursor = None;
        loop {
            let listing = self.world.list(&keys::index_prefix(namespace), cursor.as_deref()).await?;
            let heads = listing.objects.iter().filter_map(|object| keys::partition_of_head(namespace, &object.key));
            names.extend(heads.map(str::to_owned));
            cursor = listing.cursor;
            if cursor.is_none() {
                return Ok(names);
            }
        }
    }
}

fn text(cursor: &Cursor) -> String {
    serde_json::to_string(cursor).expect("a cursor has only string keys")
}

fn parse(cursor: Option<&str>) -> Result<Cursor> {
    let Some(text) = cursor else { return Ok(Cursor::default()) };
    let parsed = (text.len() <= CURSOR_BYTES_MAX).then(|| serde_json::from_str(text).ok()).flatten();
    parsed.ok_or_else(|| Error::input("cursor", "pass the cursor of the previous page back as it came"))
}
