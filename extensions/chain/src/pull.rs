//! News for the replica: what changed since the version it knows, a page at a time.
//!
//! One listing page of a thousand heads tells what changed (zero-diff costs that one request); a scoped pull asks for its
//! heads alone, conditionally; a head that comes with a lease costs nothing. Every record bears the sequence of its commit,
//! so a replica is extended by filtering, without a copy of the older head.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::chain::{Chain, Reading};
use crate::delta::{Ahead, Position};
use crate::error::{Error, Result};
use crate::head::Head;
use crate::index::Segments;
use crate::keys;
use crate::known::Known;
use crate::lease::{checked_address, lease_snapshot};
use crate::limits::{
    CONCURRENCY, PAGE_BYTES_MAX, PAGE_CONTENT_BYTES_MAX, PAGE_ENTRIES_MAX, PAGE_PARTITIONS_MAX, UNKNOWN_ATTEMPTS_MAX,
};
use crate::ports::World;
use crate::record::Record;
use crate::refusal::{check_readable, namespace_absent};
use crate::root::{Address, Root, Snapshot};
use crate::types::{DeltaMode, Depth, PartitionDelta, PullPage, PullRequest, VersionReference};

/// Longest cursor that is read back, in bytes.
const CURSOR_BYTES_MAX: usize = 16 * 1024;

/// Names and ETags of heads that a cursor remembers as read, in bytes: a cursor of at most 4 KiB is all the host carries.
/// What does not fit is read again.
const READ_BYTES_MAX: usize = 2 * 1024;

/// Where a page ended.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    /// Cursor of the listing page that is being worked on.
    listing: Option<String>,
    /// Partitions up to this one are done.
    after: Option<String>,
    /// Where the next partition goes on.
    within: Option<Position>,
    /// Heads (partition and ETag) of a scoped pull that were read and not told yet: the next page takes them from the
    /// replica's cache.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    read: Vec<(String, String)>,
}

/// A partition that may have news.
#[derive(Debug, Clone)]
struct Candidate {
    partition: String,
    /// As the listing says.
    etag: Option<String>,
}

/// Candidates of one listing page or of the request.
#[derive(Debug)]
struct Candidates {
    candidates: Vec<Candidate>,
    /// Of the next listing page.
    following: Option<String>,
    total: Option<u64>,
}

/// A head with its ETag.
type Versioned = (Head, String);

/// How full a page is, and what was read for it.
#[derive(Debug, Default)]
pub(crate) struct Fill {
    entries: usize,
    bytes: u64,
    content_bytes: u64,
    partitions: usize,
    pub(crate) segments: Segments,
}

impl Fill {
    /// Takes a record into the page; `with_content` its content comes along.
    pub(crate) fn add(&mut self, record: &Record, with_content: bool) {
        self.entries += 1;
        let Some(entry) = record.entry() else { return };
        let tags: usize = entry.tags.iter().map(|tag| tag.name.len() + tag.value.len()).sum();
        self.bytes = self.bytes.saturating_add(tags as u64).saturating_add(record.inline_bytes());
        if with_content {
            self.content_bytes = self.content_bytes.saturating_add(entry.size);
        }
    }

    /// Entries that still fit, as far as their number goes.
    pub(crate) fn entries_left(&self) -> usize {
        PAGE_ENTRIES_MAX.saturating_sub(self.entries)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.entries >= PAGE_ENTRIES_MAX
            || self.bytes >= PAGE_BYTES_MAX
            || self.content_bytes >= PAGE_CONTENT_BYTES_MAX
            || self.partitions >= PAGE_PARTITIONS_MAX
    }
}

impl<W: World> Chain<W> {
    /// One page of news. Cancel safe: nothing is written.
    pub async fn pull(&self, request: &PullRequest) -> Result<PullPage<W::Blob>> {
        keys::check_namespace(&request.namespace)?;
        let mut cursor = read_cursor(request.cursor.as_deref())?;
        // Whoever gave the leases knows it.
        if !request.is_leased() {
            self.know_store(&request.namespace).await?;
        }
        let mut page = PullPage { deltas: Vec::new(), cursor: None, partitions_total: None };
        let mut fill = Fill::default();
        let listed = self.candidates(request, &cursor).await?;
        page.partitions_total = listed.total;
        let names: Vec<String> = listed.candidates.iter().map(|candidate| candidate.partition.clone()).collect();
        let known: Vec<Option<Known>> =
            self.world.known(&names)?.into_iter().map(|text| text.and_then(|text| Known::parse(&text))).collect();
        let pending: Vec<(Candidate, Option<Known>)> = listed
            .candidates
            .into_iter()
            .zip(known)
            .filter(|(candidate, known)| {
                let resumed = cursor.within.is_some() && cursor.within_partition(&candidate.partition);
                let same = matches!((&candidate.etag, known), (Some(etag), Some(known)) if *etag == known.etag);
                resumed || !same
            })
            .collect();
        if request.depth == Depth::Partitions && request.partitions.is_none() {
            // The listing says it all: no head is read.
            let changed =
                pending.into_iter().filter_map(|(candidate, _)| Some(only_told(candidate.partition, candidate.etag?)));
            page.deltas = changed.collect();
            page.cursor = listed.following.map(following);
            return Ok(page);
        }
        for group in pending.chunks(CONCURRENCY) {
            let reads =
                group.iter().map(|(candidate, known)| self.current_head(request, candidate, known.as_ref(), &cursor));
            let heads = self.all(reads.collect()).await?;
            cursor.read = read_heads(request, group, &heads);
            if request.depth != Depth::Partitions {
                let ahead = ahead(&request.namespace, group, &heads);
                self.read_page_ahead(&ahead, cursor.within.as_ref(), &mut fill).await;
            }
            for ((candidate, known), head) in group.iter().zip(heads) {
                if fill.is_full() {
                    page.cursor = Some(write_cursor(&cursor));
                    return Ok(page);
                }
                cursor.read.retain(|(partition, _)| *partition != candidate.partition);
                let within = cursor.within.take();
                let news = self.current_news(request, candidate, known.as_ref(), head, within, &mut fill);
                if let Some(delta) = news.await? {
                    let (delta, position) = delta;
                    page.deltas.push(delta);
                    if position.is_some() {
                        cursor.within = position;
                        page.cursor = Some(write_cursor(&cursor));
                        return Ok(page);
                    }
                }
                cursor.after = Some(candidate.partition.clone());
            }
        }
        page.cursor = listed.following.map(following);
        Ok(page)
    }

    /// What is to be looked at now, in order.
    async fn candidates(&self, request: &PullRequest, cursor: &Cursor) -> Result<Candidates> {
        let is_left = |partition: &str| cursor.after.as_deref().is_none_or(|after| partition > after);
        if let Some(partitions) = &request.partitions {
            let mut names = partitions.clone();
            names.sort();
            names.dedup();
            names.iter().try_for_each(|partition| keys::check_partition(partition))?;
            let total = Some(names.len() as u64);
            let left = names.into_iter().filter(|partition| is_left(partition));
            let etag = |partition: &String| {
                let read = cursor.read.iter().find(|(read, _)| read == partition);
                read.map(|(_, etag)| etag.clone())
            };
            let candidates = left.map(|partition| Candidate { etag: etag(&partition), partition }).collect();
            return Ok(Candidates { candidates, following: None, total });
        }
        let parent = keys::parent_of(&request.namespace);
        let listed = parent.unwrap_or(&request.namespace);
        let own = match parent {
            Some(parent) => {
                self.check_readable(&request.namespace).await?;
                Some(self.own_heads(&request.namespace, parent).await?)
            }
            None => None,
        };
        let listing = self.world.list(&keys::index_prefix(listed), cursor.listing.as_deref()).await?;
        let meta = keys::meta(listed);
        if parent.is_none() && cursor.listing.is_none() && !listing.objects.iter().any(|object| object.key == meta) {
            return Err(namespace_absent(&request.namespace));
        }
        if parent.is_none() && cursor.listing.is_none() {
            self.check_listed_meta(&request.namespace, &listing.objects).await?;
        }
        let mut candidates = listed_candidates(listed, &listing.objects);
        if let Some(own) = own {
            // What the scope has stands for what the parent has, and comes with the first page.
            let own = listed_candidates(listed, &own);
            candidates.retain(|candidate| !own.iter().any(|own| own.partition == candidate.partition));
            if cursor.listing.is_none() {
                candidates.extend(own);
            }
        }
        candidates.sort_by(|left, right| left.partition.cmp(&right.partition));
        let total = (cursor.listing.is_none() && listing.cursor.is_none()).then_some(candidates.len() as u64);
        candidates.retain(|candidate| is_left(&candidate.partition));
        Ok(Candidates { candidates, following: listing.cursor, total })
    }

    /// Reads the namespace root when it changed: a newer format must be noticed before anything is understood wrongly, and
    /// what was moved or is not there yet must not be taken for empty.
    async fn check_listed_meta(&self, namespace: &str, objects: &[crate::ports::Object]) -> Result<()> {
        let address = Address::new(namespace, keys::STRUCTURAL);
        let listed = objects.iter().find(|object| object.key == address.key());
        let cached = self.cached_root(address).await;
        let current = match cached {
            Some(cached) if listed.is_some_and(|object| object.etag == cached.etag) => cached,
            _ => self.current_meta(namespace).await?,
        };
        match &current.root {
            Root::Meta(meta) => check_readable(meta),
            Root::Head(_) => Err(namespace_absent(namespace)),
        }
    }

    /// The head as it is now; none when it is what the replica knows, or does not exist.
    async fn current_head(
        &self,
        request: &PullRequest,
        candidate: &Candidate,
        known: Option<&Known>,
        cursor: &Cursor,
    ) -> Result<Option<Versioned>> {
        let address = checked_address(&request.namespace, &candidate.partition)?;
        if let Some(lease) = request.lease_of(&candidate.partition) {
            let found = lease_snapshot(address, lease)?;
            return Ok(as_head(found.root).map(|head| (head, found.etag)));
        }
        let resumed = cursor.within.as_ref().filter(|_| cursor.within_partition(&candidate.partition));
        if let Some(cached) = self.cached_root(address).await
            && (resumed.is_some_and(|within| within.etag == cached.etag)
                || candidate.etag.as_ref() == Some(&cached.etag))
        {
            return Ok(as_head(cached.root).map(|head| (head, cached.etag)));
        }
        let unless = known.map(|known| known.etag.as_str()).filter(|etag| !etag.is_empty() && resumed.is_none());
        Ok(match self.read_through(address, unless).await? {
            Reading::Found(found) => {
                let Snapshot { root, etag, .. } = *found;
                let head = as_head(root);
                if head.as_ref().is_some_and(|head| head.sealed.is_some()) {
                    self.check_readable(&request.namespace).await?;
                }
                head.map(|head| (head, etag))
            }
            Reading::NotModified => None,
            Reading::Absent => {
                // Nobody has used it yet, or the namespace was deleted.
                if known.is_some() || request.partitions.is_none() {
                    self.check_readable(&request.namespace).await?;
                }
                None
            }
        })
    }

    /// [`Self::news`], again from the head that is there by now when a collector has deleted a segment of the one that was
    /// read.
    async fn current_news(
        &self,
        request: &PullRequest,
        candidate: &Candidate,
        known: Option<&Known>,
        head: Option<Versioned>,
        within: Option<Position>,
        fill: &mut Fill,
    ) -> Result<Option<(PartitionDelta<W::Blob>, Option<Position>)>> {
        let address = checked_address(&request.namespace, &candidate.partition)?;
        let mut etag = head.as_ref().map(|(_, etag)| etag.clone()).unwrap_or_default();
        let mut answer = self.news(request, candidate, known, head, within, fill).await;
        for _ in 0..UNKNOWN_ATTEMPTS_MAX {
            let Err(error) = &answer else { break };
            if !error.is_segment_missing() {
                break;
            }
            let newer = self.newer_root(address, &etag, error).await?;
            let head = newer.and_then(|found| {
                let Snapshot { root, etag, .. } = *found;
                as_head(root).map(|head| (head, etag))
            });
            etag = head.as_ref().map(|(_, etag)| etag.clone()).unwrap_or_default();
            answer = self.news(request, candidate, known, head, None, fill).await;
        }
        answer
    }

    /// The next part of one partition's news, and where it goes on if that is not all.
    async fn news(
        &self,
        request: &PullRequest,
        candidate: &Candidate,
        known: Option<&Known>,
        head: Option<Versioned>,
        within: Option<Position>,
        fill: &mut Fill,
    ) -> Result<Option<(PartitionDelta<W::Blob>, Option<Position>)>> {
        let address = checked_address(&request.namespace, &candidate.partition)?;
        let Some((head, etag)) = head else { return Ok(None) };
        let version = Known::all_of(&head, &etag);
        if known == Some(&version) && within.is_none() {
            return Ok(None);
        }
        // The ETag of a leased head is the holder's own doing, and is another one again when the lease ends.
        let is_leased = request.lease_of(&candidate.partition).is_some();
        if is_leased && within.is_none() && known.is_some_and(|known| known.is_same_history(&version)) {
            return Ok(None);
        }
        fill.partitions += 1;
        if request.depth == Depth::Partitions {
            return Ok(Some((only_told(candidate.partition.clone(), etag), None)));
        }
        self.delta(address, &head, &version, known, within, request.depth, fill).await.map(Some)
    }
}

impl Cursor {
    /// The page ended inside a partition: the first one that is left.
    fn within_partition(&self, partition: &str) -> bool {
        self.within.as_ref().is_some_and(|within| within.partition == partition)
    }
}

/// The partitions whose heads a listing names.
fn listed_candidates(namespace: &str, objects: &[crate::ports::Object]) -> Vec<Candidate> {
    let candidate = |object: &crate::ports::Object| {
        let partition = keys::partition_of_head(namespace, &object.key)?.to_owned();
        Some(Candidate { partition, etag: Some(object.etag.clone()) })
    };
    objects.iter().filter_map(candidate).collect()
}

/// Versions sorted and once each.
pub(crate) fn unique(references: impl Iterator<Item = VersionReference>) -> Vec<VersionReference> {
    references.map(|reference| (reference, ())).collect::<BTreeMap<_, _>>().into_keys().collect()
}

/// The partition has news, whatever they are.
fn only_told<B>(partition: String, etag: String) -> PartitionDelta<B> {
    let (entries, removed) = (Vec::new(), Vec::new());
    PartitionDelta { partition, mode: DeltaMode::Changed, version: etag, entries, removed, continues: false }
}

/// The heads of a group that may have news.
fn ahead<'a>(
    namespace: &'a str,
    group: &'a [(Candidate, Option<Known>)],
    heads: &'a [Option<Versioned>],
) -> Vec<Ahead<'a>> {
    let both = group.iter().zip(heads);
    both.filter_map(|((candidate, known), head)| {
        let (head, etag) = head.as_ref()?;
        let address = Address::new(namespace, &candidate.partition);
        Some(Ahead { address, head, etag, known: known.as_ref() })
    })
    .collect()
}

/// Heads that the next page need not read again. A listing tells their ETags anyway.
fn read_heads(
    request: &PullRequest,
    group: &[(Candidate, Option<Known>)],
    heads: &[Option<Versioned>],
) -> Vec<(String, String)> {
    let read = group.iter().zip(heads).filter(|_| request.partitions.is_some());
    let etag = |((candidate, _), head): (&(Candidate, Option<Known>), &Option<Versioned>)| {
        let (_, etag) = head.as_ref()?;
        Some((candidate.partition.clone(), etag.clone()))
    };
    let mut bytes = 0;
    let fits = |(partition, etag): &(String, String)| {
        bytes += partition.len() + etag.len();
        bytes <= READ_BYTES_MAX
    };
    read.filter_map(etag).take_while(fits).collect()
}

/// The cursor of the first page of a listing page.
fn following(listing: String) -> String {
    write_cursor(&Cursor { listing: Some(listing), ..Cursor::default() })
}

fn as_head(root: Root) -> Option<Head> {
    match root {
        Root::Head(head) => Some(head),
        Root::Meta(_) => None,
    }
}

fn read_cursor(text: Option<&str>) -> Result<Cursor> {
    let Some(text) = text else { return Ok(Cursor::default()) };
    let invalid = || Error::input("cursor", "pass the cursor of the previous page back as it came");
    if text.len() > CURSOR_BYTES_MAX {
        return Err(invalid());
    }
    serde_json::from_str(text).map_err(|_| invalid())
}

fn write_cursor(cursor: &Cursor) -> String {
    serde_json::to_string(cursor).expect("a cursor has only string keys")
}
