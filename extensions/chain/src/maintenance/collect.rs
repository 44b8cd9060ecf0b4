//! Collecting: what is over leaves a partition in one compare-and-swap of its head, under a lease of its own.
//!
//! A partition costs two swaps, one that takes the lease and one that gives it up again with everything in it. Between them
//! the namespace root is read once for all partitions of a call: who has the structural lease, or seals, is not disturbed.
//! Objects are deleted before the marks forget them, so whoever is killed in between leaves marks, and the next collection
//! deletes the rest; an object that is gone already is deleted once more.

use crate::chain::{Chain, Reading, Swap};
use crate::error::{Error, ErrorKind, Result};
use crate::head::Head;
use crate::index::Segments;
use crate::keys;
use crate::known::Known;
use crate::lease::{holds, lease_of, lease_snapshot};
use crate::limits::{
    COLLECT_PARTITIONS_MAX, COMPACT_RECORDS_MAX, DELETE_KEYS_MAX, LEASE_TTL_MS_MAX, LEASE_TTL_MS_MIN, QUEUE_FRESH_MS,
    UNKNOWN_ATTEMPTS_MAX,
};
use crate::maintenance::compact::Compaction;
use crate::maintenance::examine::{Due, Examined, examine, expire, forget_content};
use crate::maintenance::sweep::{Candidate, orphans};
use crate::maintenance::{CollectRequest, Collected};
use crate::ports::World;
use crate::record::Record;
use crate::root::{Address, Root, Snapshot};
use crate::types::Lease;

/// What a partition's head calls for.
#[derive(Debug, Default)]
struct Work {
    /// The records that were looked at.
    records: Vec<Record>,
    examined: Examined,
    orphans: Vec<Candidate>,
    compaction: Compaction,
    /// Why it is not done.
    left: Option<String>,
}

/// A lease that a collection took.
#[derive(Debug)]
struct Taken {
    lease: Lease,
    /// When, by our monotonic clock: whoever came since has not written a ticket yet.
    taken_ms: u64,
    waited: bool,
    /// A run scope has a copy of its head, so nothing may be deleted; where it was asked.
    is_read: Option<bool>,
}

impl<W: World> Chain<W> {
    /// Collects from some partitions; one answer each, in order. A partition that somebody else holds is left alone.
    ///
    /// Nothing to do: no request for a partition that this machine has seen as it is now. Otherwise two a partition and one
    /// for all, one for each thousand objects that are deleted, and the segments that must be read or written. Not cancel
    /// safe: dropped, leases last for their time to live, and what was deleted is found out by the next collection.
    pub async fn collect(&self, request: &CollectRequest) -> Result<Vec<Collected>> {
        check_collect(request)?;
        self.know_store(&request.namespace).await?;
        let addresses: Vec<Address<'_>> =
            request.partitions.iter().map(|partition| Address::new(&request.namespace, partition)).collect();
        let looks = addresses.iter().map(|address| async move {
            match self.look(*address, request).await {
                Err(error) if is_left(&error) => {
                    Ok((Vec::new(), Work { left: Some(error.message), ..Work::default() }))
                }
                looked => looked,
            }
        });
        let looked: Vec<(Vec<Candidate>, Work)> = self.all(looks.collect()).await?;
        if request.dry_run {
            let both = addresses.iter().zip(&looked);
            return Ok(both.map(|(address, (_, work))| foreseen(address.partition, work)).collect());
        }
        let takes = addresses.iter().zip(&looked).map(|(address, (_, work))| async move {
            Ok(if work.is_empty() { None } else { Some(self.take(*address, request).await) })
        });
        let taken: Vec<Option<Result<Taken>>> = self.all(takes.collect()).await?;
        let refused = taken.iter().flatten().filter_map(|taken| taken.as_ref().err()).find(|error| !is_left(error));
        let deletes = looked.iter().any(|(_, work)| work.deletes());
        let read = match refused {
            Some(error) => Err(error.clone()),
            // The heads have changed: whoever copies one into a run scope from now on notices (`confirm_copy`).
            None if deletes && taken.iter().flatten().any(Result::is_ok) => {
                self.read_by_scopes(&request.namespace).await.map(Some)
            }
            None => Ok(None),
        };
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                for taken in taken.iter().flatten().flatten() {
                    let _ = self.release(&request.namespace, &taken.lease).await;
                }
                return Err(error);
            }
        };
        let read = &read;
        let jobs = addresses.iter().zip(looked).zip(taken).map(|((address, (candidates, work)), taken)| async move {
            Ok(match taken {
                // Nothing is over, so what is there to tell was seen by looking.
                None => Ok(nothing(address.partition, &work)),
                Some(Err(error)) => Ok(left(address.partition, &error)),
                Some(Ok(taken)) => {
                    let is_read = read.as_ref().map(|read| read.contains(address.partition));
                    let taken = Taken { is_read, ..taken };
                    self.collect_one(*address, request, taken, &candidates).await
                }
            })
        });
        // All of them come to their end before the first error is told: none leaves its lease behind.
        self.all(jobs.collect()).await?.into_iter().collect()
    }

    /// What is to be done, as far as this machine knows the head; a sweep lists the objects first.
    async fn look(&self, address: Address<'_>, request: &CollectRequest) -> Result<(Vec<Candidate>, Work)> {
        let candidates =
            if request.sweep_orphans { self.old_objects(address, request.grace_ms).await? } else { Vec::new() };
        let is_whole = request.sweep_orphans || request.compact;
        let cached = self.cached_root(address).await.map(Box::new);
        let mut found = match cached {
            // It is what `measure` has just seen; should it be another one by now, the lease is not had for nothing.
            Some(found) if !is_whole => Some(found),
            cached => match self.read_root(address, cached.as_ref().map(|cached| cached.etag.as_str())).await? {
                Reading::Found(found) => Some(found),
                Reading::NotModified => cached,
                Reading::Absent => None,
            },
        };
        for _ in 0..UNKNOWN_ATTEMPTS_MAX {
            let Some(Snapshot { root: Root::Head(head), etag, .. }) = found.as_deref() else { break };
            if is_whole {
                check_records(address, head)?;
            }
            match self.work(address, &mut Segments::default(), head, request, &candidates).await {
                Err(error) if error.is_segment_missing() => {
                    let newer = self.newer_root(address, etag, &error).await?;
                    found = newer;
                }
                work => return Ok((candidates, work?)),
            }
        }
        Ok((candidates, Work::default()))
    }

    async fn work(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        head: &Head,
        request: &CollectRequest,
        candidates: &[Candidate],
    ) -> Result<Work> {
        let everything = request.compact || request.sweep_orphans;
        let records = self.view(address, segments, head, request.now_ms, everything).await?;
        let examined = examine(address, &records, request);
        let orphans = orphans(address, candidates, head, &records);
        // What is inherited would become the scope's own, and be folded as if it were new. A scope is gone soon.
        let is_scope = keys::parent_of(address.namespace).is_some();
        let compaction = if request.compact && !is_scope {
            Compaction::of(head, &records, request.now_ms, request.grace_ms)
        } else {
            Compaction::default()
        };
        Ok(Work { records, examined, orphans, compaction, left: None })
    }

    async fn take(&self, address: Address<'_>, request: &CollectRequest) -> Result<Taken> {
        let began_ms = self.world.elapsed_ms();
        let deadline_ms = began_ms.saturating_add(request.wait_ms);
        let (lease, waited) = self.acquire_one(address, request.ttl_ms, deadline_ms).await?;
        Ok(Taken { lease, taken_ms: self.world.elapsed_ms(), waited, is_read: None })
    }

    /// Collects under a lease, and gives it up, however it ends.
    async fn collect_one(
        &self,
        address: Address<'_>,
        request: &CollectRequest,
        mut taken: Taken,
        candidates: &[Candidate],
    ) -> Result<Collected> {
        let answer = self.collect_leased(address, request, &mut taken, candidates).await;
        let Err(error) = answer else { return answer };
        let _ = self.release(address.namespace, &taken.lease).await;
        if is_left(&error) { Ok(left(address.partition, &error)) } else { Err(error) }
    }

    async fn collect_leased(
        &self,
        address: Address<'_>,
        request: &CollectRequest,
        taken: &mut Taken,
        candidates: &[Candidate],
    ) -> Result<Collected> {
        if request.sweep_orphans {
            // The fence: uploads that began before it are done again, so none of them may still be committed.
            let fenced = self.change_leased(address.namespace, &taken.lease, |root| {
                if let Root::Head(head) = root {
                    head.sweeps += 1;
                }
            });
            taken.lease = lease_of(address.partition, &*fenced.await?);
        }
        let mut found = Box::new(lease_snapshot(address, &taken.lease)?);
        let mut segments = Segments::default();
        let mut collected = Collected { partition: address.partition.to_owned(), ..Collected::default() };
        for _ in 0..UNKNOWN_ATTEMPTS_MAX {
            let Root::Head(base) = &found.root else { break };
            if !holds(&found.root, &taken.lease) {
                let message = format!("the lease of {} was taken over during the collection", address.partition);
                return Err(Error::new(ErrorKind::LeaseLost, address.partition, message));
            }
            let mut work = self.work(address, &mut segments, base, request, candidates).await?;
            if work.deletes() {
                let is_read = match taken.is_read {
                    Some(is_read) => is_read,
                    None => self.read_by_scopes(address.namespace).await?.contains(address.partition),
                };
                taken.is_read = Some(is_read);
                if is_read {
                    work.keep_everything(&mut collected);
                }
            }
            let Examined { expired, due, waiting_bytes, more } = &work.examined;
            let kept = self.delete_due(due, &mut collected).await?;
            self.delete_orphans(&work.orphans, &mut collected).await?;
            let mut head = base.clone();
            let is_news = !expired.is_empty() || work.compaction.moves();
            head.sequence += u64::from(is_news);
            let deleted = due.iter().filter(|due| !kept.contains(&due.key));
            deleted.for_each(|due| forget_content(&mut head, &due.marks));
            collected.expired = expire(&mut head, expired, request.now_ms);
            collected.expired_bytes = expired.iter().map(|entry| entry.size).sum();
            collected.bytes_waiting =
                waiting_bytes + due.iter().filter(|due| kept.contains(&due.key)).map(|due| due.bytes).sum::<u64>();
            collected.more = *more || (request.grace_ms == 0 && !expired.is_empty());
            if work.compaction.is_empty() {
                self.correct_references(address, &mut segments, &mut head, request.now_ms).await?;
            } else {
                let records = crate::spill::merge(work.records, head.recent.clone());
                let times = (request.now_ms, request.grace_ms);
                self.compact(address, &mut head, records, &work.compaction, times).await?;
            }
            head.lease = None;
            head.next = self.next_after(address, taken, &found.root).await;
            self.spill(address, &mut segments, &mut head).await?;
            match self.swap(address, Root::Head(head), Some(&found.etag)).await? {
                Swap::Done(done) => {
                    collected.version = self.version_of(address, base, &done, work.compaction.moves())?;
                    self.delete_replaced(address, request, taken, (base, &done), &mut collected).await;
                    return Ok(collected);
                }
                Swap::Changed(Some(current)) => found = current,
                Swap::Changed(None) => return Err(crate::refusal::lease_gone(address)),
            }
        }
        let message = format!("the store did not answer whether the collection of {} was written", address.partition);
        Err(Error::new(ErrorKind::Unavailable(None), address.partition, message))
    }

    /// Deletes objects whose content is over. Answers those that the store would not delete.
    async fn delete_due(&self, due: &[Due], collected: &mut Collected) -> Result<Vec<String>> {
        let objects: Vec<Candidate> =
            due.iter().map(|due| Candidate { key: due.key.clone(), bytes: due.bytes }).collect();
        self.delete_objects(&objects, collected).await
    }

    async fn delete_orphans(&self, orphans: &[Candidate], collected: &mut Collected) -> Result<()> {
        self.delete_objects(orphans, collected).await.map(drop)
    }

    /// After the swap: segments that it replaced. A reader that comes too late reads the head again. What fails is left to
    /// the next sweep.
    async fn delete_replaced(
        &self,
        address: Address<'_>,
        request: &CollectRequest,
        taken: &Taken,
        (base, done): (&Head, &Snapshot),
        collected: &mut Collected,
    ) {
        let Root::Head(head) = &done.root else { return };
        if !request.sweep_orphans || taken.is_read == Some(true) {
            return;
        }
        let named = |digest: &str| head.buffer.iter().chain(&head.segments).any(|segment| segment.digest == digest);
        let replaced = base.buffer.iter().chain(&base.segments).filter(|segment| !named(&segment.digest));
        let objects: Vec<Candidate> = replaced
            .map(|segment| Candidate {
                key: keys::segment(address.namespace, address.partition, &segment.digest),
                bytes: segment.bytes,
            })
            .collect();
        if objects.is_empty() {
            return;
        }
        // Asked once more: a copy that was made before the swap names them.
        if let Ok(read) = self.read_by_scopes(address.namespace).await
            && !read.contains(address.partition)
        {
            let _ = self.delete_objects(&objects, collected).await;
        }
    }

    /// Deletes, and counts what was deleted for the first time. Answers the keys that the store refused, and says so in
    /// `left`.
    async fn delete_objects(&self, objects: &[Candidate], collected: &mut Collected) -> Result<Vec<String>> {
        let mut refused = Vec::new();
        for batch in objects.chunks(DELETE_KEYS_MAX) {
            let keys: Vec<String> = batch.iter().map(|object| object.key.clone()).collect();
            let failures = self.delete_keys(&keys).await?;
            if let Some((key, error)) = failures.first() {
                collected.left =
                    Some(format!("the store did not delete {key} and {} more: {error}", failures.len() - 1));
            }
            let is_refused = |key: &String| failures.iter().any(|(refused, _)| refused == key);
            let deleted = batch.iter().filter(|object| !is_refused(&object.key));
            for object in deleted {
                collected.objects_deleted += 1;
                collected.bytes_deleted = collected.bytes_deleted.saturating_add(object.bytes);
            }
            refused.extend(failures.into_iter().map(|(key, _)| key));
        }
        Ok(refused)
    }

    async fn delete_keys(&self, keys: &[String]) -> Result<Vec<(String, Error)>> {
        let mut attempt = 0;
        loop {
            match self.world.delete(keys).await {
                Err(error) if error.is_unavailable() && attempt + 1 < UNKNOWN_ATTEMPTS_MAX => {
                    attempt += 1;
                    self.pause(attempt, Some(&error)).await;
                }
                answer => return answer,
            }
        }
    }

    /// Whose turn it is. Who took the lease at once and gives it up again before anybody can have written a ticket need not
    /// look.
    async fn next_after(&self, address: Address<'_>, taken: &Taken, root: &Root) -> Option<crate::head::Next> {
        let held_ms = self.world.elapsed_ms().saturating_sub(taken.taken_ms);
        if !taken.waited && held_ms <= QUEUE_FRESH_MS { None } else { self.next_waiter(address, root).await }
    }

    /// What the replica knows once it took the expired versions over; none when it must pull to know the rest.
    fn version_of(&self, address: Address<'_>, base: &Head, done: &Snapshot, moved: bool) -> Result<Option<String>> {
        let Root::Head(head) = &done.root else { return Ok(None) };
        let known = self.known(address)?;
        let knew_all = known.is_some_and(|known| known.lineage == base.lineage && known.sequence == base.sequence);
        Ok((knew_all && !moved).then(|| Known::all_of(head, &done.etag).to_text()))
    }
}

impl Work {
    fn deletes(&self) -> bool {
        !self.examined.due.is_empty() || !self.orphans.is_empty()
    }

    /// Leaves everything in the store, since a run scope may read it: it is deleted when the scope is gone.
    fn keep_everything(&mut self, collected: &mut Collected) {
        let due = std::mem::take(&mut self.examined.due);
        self.examined.waiting_bytes += due.iter().map(|due| due.bytes).sum::<u64>();
        self.examined.more &= !self.examined.expired.is_empty();
        let orphans = std::mem::take(&mut self.orphans);
        if !due.is_empty() || !orphans.is_empty() {
            collected.left =
                Some("an open run scope may read what would be deleted; it goes when the scope is gone".to_owned());
        }
    }

    fn is_empty(&self) -> bool {
        self.examined.expired.is_empty()
            && self.examined.due.is_empty()
            && self.orphans.is_empty()
            && self.compaction.is_empty()
    }
}

/// What a collection would do.
fn foreseen(partition: &str, work: &Work) -> Collected {
    let Examined { expired, due, waiting_bytes, more } = &work.examined;
    let deleted = due.iter().map(|due| due.bytes).chain(work.orphans.iter().map(|orphan| orphan.bytes));
    Collected {
        partition: partition.to_owned(),
        expired: expired.iter().map(crate::record::EntryRecord::reference).collect(),
        expired_bytes: expired.iter().map(|entry| entry.size).sum(),
        objects_deleted: (due.len() + work.orphans.len()) as u64,
        bytes_deleted: deleted.sum(),
        bytes_waiting: *waiting_bytes,
        left: work.left.clone(),
        more: *more,
        ..Collected::default()
    }
}

fn nothing(partition: &str, work: &Work) -> Collected {
    Collected { partition: partition.to_owned(), bytes_waiting: work.examined.waiting_bytes, ..Collected::default() }
}

fn left(partition: &str, error: &Error) -> Collected {
    Collected { partition: partition.to_owned(), left: Some(error.message.clone()), ..Collected::default() }
}

fn check_records(address: Address<'_>, head: &Head) -> Result<()> {
    let records: u64 = head.buffer.iter().chain(&head.segments).map(|segment| segment.records).sum();
    if records <= COMPACT_RECORDS_MAX {
        return Ok(());
    }
    let message =
        format!("{} has {records} records; more than {COMPACT_RECORDS_MAX} are not compacted", address.partition);
    Err(Error::new(ErrorKind::Exhausted, address.partition, message))
}

/// The partition is somebody else's, now or for good: the others go on.
fn is_left(error: &Error) -> bool {
    // Whoever has the namespace has all of them.
    error.subject != keys::STRUCTURAL
        && matches!(error.kind, ErrorKind::Held | ErrorKind::LeaseLost | ErrorKind::Denied | ErrorKind::Exhausted)
}

fn check_collect(request: &CollectRequest) -> Result<()> {
    keys::check_namespace(&request.namespace)?;
    request.partitions.iter().try_for_each(|partition| keys::check_partition(partition))?;
    if request.partitions.len() > COLLECT_PARTITIONS_MAX {
        return Err(Error::input("partitions", format!("at most {COLLECT_PARTITIONS_MAX} in one call")));
    }
    if request.partitions.len() > 1 && request.wait_ms > 0 {
        return Err(Error::input("wait-ms", "only one partition is waited for: others would be held meanwhile"));
    }
    if !request.partitions.is_sorted_by(|left, right| left < right) {
        return Err(Error::input("partitions", "sorted and without duplicates"));
    }
    if !(LEASE_TTL_MS_MIN..=LEASE_TTL_MS_MAX).contains(&request.ttl_ms) {
        return Err(Error::input("ttl-ms", format!("{LEASE_TTL_MS_MIN} to {LEASE_TTL_MS_MAX} milliseconds")));
    }
    Ok(())
}
