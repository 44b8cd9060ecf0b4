//! Commits: content first, then one compare-and-swap of the head. That swap is the commit point; with `release` it gives
//! the lease up as well.
//!
//! An unanswered swap is looked for in the head: by its nonce, and when others have written since, by the commit's id.
//! Whoever loses a race rebases: version numbers, caps and removals are computed anew against the head that won.

use futures::future::join;

use crate::chain::{Chain, Reading, Swap};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::Gate;
use crate::head::{CommitRecord, Head, Next};
use crate::index::Segments;
use crate::keys;
use crate::known::Known;
use crate::lease::{Obstacle, holds, lease_of, lease_snapshot};
use crate::limits::{COMMIT_ATTEMPTS_MAX, COMMIT_ENTRIES_MAX};
use crate::ports::{Blob, World};
use crate::record::{EntryRecord, Place, Reason, Record, description_fault};
use crate::refusal::{described, lease_gone, lease_lost};
use crate::root::{Address, Root, Snapshot};
use crate::scope::Copied;
use crate::types::{Entry, NewEntry, PushRequest, Receipt, VersionReference};

/// A head with a commit in it, not yet written.
#[derive(Debug)]
struct Applied {
    head: Head,
    entries: Vec<Entry>,
    removed: Vec<VersionReference>,
}

/// Content that was uploaded, and the number of sweeps the head had counted before.
#[derive(Debug)]
struct Uploaded {
    sweeps: u64,
    places: Vec<Place>,
}

/// Where the content of a commit comes from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    /// From the caller: it is uploaded.
    Caller,
    /// From the same partition of another namespace, one place for each appended entry: it is copied inside the store.
    Namespace { name: &'a str, places: &'a [Place] },
}

impl<W: World> Chain<W> {
    /// Commits to one partition, all or nothing. With a lease: one request for the swap, one for the queue when it is
    /// released and was not looked at a moment ago, one a pack or large object, and the segments that must be read or written. Repeating it with the same
    /// commit id is harmless. Not cancel safe: dropped, it may or may not have been applied; repeat it to know.
    pub async fn push(&self, request: &PushRequest<W::Blob>) -> Result<Receipt> {
        if let Some(new) = request.append.iter().find(|new| new.content.size() != new.description.size) {
            return Err(Error::input(new.description.name.clone(), "its size is not that of its content"));
        }
        self.push_of(request, &Source::Caller).await
    }

    /// [`Self::push`] of content that the caller has, or that lies in another namespace of this store.
    pub(crate) async fn push_of(&self, request: &PushRequest<W::Blob>, source: &Source<'_>) -> Result<Receipt> {
        check_push(request)?;
        let address = Address::new(&request.namespace, &request.partition);
        let mut segments = Segments::default();
        let mut uploaded: Option<Uploaded> = None;
        let mut next: Option<Option<Next>> = None;
        let mut found = self.commit_base(address, request).await?;
        let mut began_at: Option<u64> = None;
        for attempt in 0..COMMIT_ATTEMPTS_MAX {
            let Some(snapshot) = found else {
                found = self.create_head(address, request).await?;
                continue;
            };
            let Root::Head(base) = &snapshot.root else {
                return Err(Error::input(request.partition.clone(), "the lease of a commit is the partition's own"));
            };
            if base.copied_at.is_some() && request.lease.is_none() {
                match self.confirm_copy(address, &snapshot).await? {
                    Copied::Current => {}
                    Copied::Changed(current) => {
                        found = current;
                        continue;
                    }
                }
            }
            let began_at = *began_at.get_or_insert(base.sequence);
            let searched = self.find_commit(address, &mut segments, base, request, began_at).await;
            let done = match searched {
                Err(error) if error.is_segment_missing() => {
                    found = self.newer_root(address, &snapshot.etag, &error).await?;
                    continue;
                }
                searched => searched?,
            };
            if let Some(done) = done {
                return self.finish_done(address, &mut segments, request, &snapshot, &done).await;
            }
            if !remembers_since(base, began_at) {
                // What was uploaded may have been committed, removed and deleted again meanwhile.
                uploaded = None;
            }
            let mark = self.check_may_commit(address, request, &snapshot).await?;
            let upload = async {
                if uploaded.as_ref().is_none_or(|uploaded| uploaded.sweeps != base.sweeps) {
                    let places = match source {
                        Source::Caller => self.upload(address, &request.append).await?,
                        Source::Namespace { name, places } => {
                            self.copy_places(Address::new(name, address.partition), address, places).await?;
                            places.to_vec()
                        }
                    };
                    uploaded = Some(Uploaded { sweeps: base.sweeps, places });
                }
                Ok(())
            };
            let queue = async {
                if request.release && next.is_none() {
                    next = Some(self.next_waiter(address, &snapshot.root).await);
                }
            };
            let (upload, ()) = join(upload, queue).await;
            upload?;
            let places = uploaded.as_ref().map(|uploaded| uploaded.places.as_slice()).unwrap_or_default();
            let applied = self.applied(address, &mut segments, base, request, places, next.clone().flatten()).await;
            let applied = match applied {
                Err(error) if error.is_segment_missing() => {
                    found = self.newer_root(address, &snapshot.etag, &error).await?;
                    continue;
                }
                applied => applied?,
            };
            let head = Head { guarded: mark, ..applied.head };
            match self.swap(address, Root::Head(head), Some(&snapshot.etag)).await? {
                Swap::Done(done) => {
                    let version = self.version_after(address, base, &done)?;
                    let keeps = request.lease.is_some() && !request.release;
                    let lease = keeps.then(|| lease_of(address.partition, &done));
                    let Applied { entries, removed, .. } = applied;
                    return Ok(Receipt { entries, collected: Vec::new(), removed, version, lease });
                }
                Swap::Changed(current) => found = current,
            }
            if request.lease.is_none() && attempt > 0 {
                self.pause(attempt.min(4), None).await;
            }
        }
        let message = format!(
            "commit {} to {} did not get through {COMMIT_ATTEMPTS_MAX} attempts; run it again, it will not be done twice",
            request.commit_id, request.partition
        );
        Err(Error::new(ErrorKind::Unavailable(None), request.partition.clone(), message))
    }

    /// The head to begin with: the lease's, the replica's, or the store's.
    async fn commit_base(&self, address: Address<'_>, request: &PushRequest<W::Blob>) -> Result<Option<Box<Snapshot>>> {
        if let Some(lease) = &request.lease {
            return Ok(Some(Box::new(lease_snapshot(address, lease)?)));
        }
        self.know_store(address.namespace).await?;
        match self.read_root(address, None).await? {
            Reading::Found(found) => Ok(Some(found)),
            Reading::Absent | Reading::NotModified => self.create_head(address, request).await,
        }
    }

    /// An empty head where there is none, so that whoever closes the namespace finds it. It bears a mark, for it may not have
    /// been found.
    async fn create_head(&self, address: Address<'_>, request: &PushRequest<W::Blob>) -> Result<Option<Box<Snapshot>>> {
        if request.lease.is_some() {
            return Err(lease_gone(address));
        }
        self.current_meta(address.namespace).await?;
        let head = Head { guarded: Some(self.new_id()), ..self.new_head(address).await? };
        match self.swap(address, Root::Head(head), None).await? {
            Swap::Done(done) => Ok(Some(done)),
            Swap::Changed(current) => Ok(current),
        }
    }

    /// The lease is still ours, or (without one) nobody else's, and nobody has closed the namespace. Answers the mark that the
    /// head is to bear afterwards.
    ///
    /// Under a lease nobody is asked: whoever closes the namespace leaves a mark and waits for its end. The mark of the head
    /// that was made with this very lease is over, for the root was asked after that.
    async fn check_may_commit(
        &self,
        address: Address<'_>,
        request: &PushRequest<W::Blob>,
        snapshot: &Snapshot,
    ) -> Result<Option<String>> {
        let Root::Head(head) = &snapshot.root else { return Ok(None) };
        match &request.lease {
            Some(lease) if holds(&snapshot.root, lease) => {
                return Ok(head.guarded.clone().filter(|id| *id != lease.nonce));
            }
            Some(_) => return Err(lease_lost(address, &snapshot.root)),
            None => {}
        }
        let is_ours = head.is_marked() && matches!(self.check_gate(address.namespace).await?, Gate::Ours);
        let mark = head.guarded.clone().filter(|_| is_ours);
        match self.obstacle(snapshot, None) {
            Obstacle::Held(lease) => {
                let message = format!("{} is held by {}", address.partition, described(&lease.holder));
                Err(Error::new(ErrorKind::Held, address.partition, message))
            }
            Obstacle::None | Obstacle::Next | Obstacle::Unknown => Ok(mark),
        }
    }

    /// The head as it is to be written.
    async fn applied(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        base: &Head,
        request: &PushRequest<W::Blob>,
        places: &[Place],
        next: Option<Next>,
    ) -> Result<Applied> {
        let mut applied = self.apply(address, segments, base, request, places).await?;
        settle_lease(&mut applied.head, request, next);
        self.spill(address, segments, &mut applied.head).await?;
        Ok(applied)
    }

    /// The head with the commit in it: versions assigned, caps applied, removals marked.
    async fn apply(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        base: &Head,
        request: &PushRequest<W::Blob>,
        places: &[Place],
    ) -> Result<Applied> {
        let mut head = base.clone();
        head.sequence += 1;
        head.sealed = None;
        head.copied_at = None;
        let mut removed = Vec::new();
        for reference in &request.remove {
            let records = self.records_of(address, segments, &head, &reference.name, false).await?;
            if let Some(entry) = records.get(&reference.version).and_then(Record::entry) {
                removed.push(mark_gone(&mut head, entry, Reason::Removed, self.world.now_ms()));
            }
        }
        let mut entries = Vec::with_capacity(request.append.len());
        for (new, place) in request.append.iter().zip(places) {
            let newest_only = new.version_cap.is_none();
            let records = self.records_of(address, segments, &head, &new.description.name, newest_only).await?;
            let highest = records.keys().next_back().copied().unwrap_or(head.version_floor);
            let version = numbered(address, new, highest.max(head.version_base))?;
            for entry in over_cap(records.values(), new) {
                removed.push(mark_gone(&mut head, entry, Reason::Cap, self.world.now_ms()));
            }
            let record = EntryRecord::new(&new.description, version, head.sequence, place.clone());
            entries.push(record.to_entry());
            head.totals.entries += 1;
            head.totals.bytes = head.totals.bytes.saturating_add(record.size);
            head.put_recent(Record::Entry(record));
        }
        head.remember_commit(&request.commit_id);
        Ok(Applied { head, entries, removed })
    }

    /// What the replica knows after it took the receipt over: all, if it knew all before.
    fn version_after(&self, address: Address<'_>, base: &Head, done: &Snapshot) -> Result<String> {
        let Root::Head(head) = &done.root else { return Ok(String::new()) };
        let known = self.known(address)?;
        let knew_all = match &known {
            Some(known) => known.lineage == base.lineage && known.sequence == base.sequence,
            None => base.sequence == 0,
        };
        Ok(if knew_all { Known::all_of(head, &done.etag) } else { behind(known, head) }.to_text())
    }

    /// What the replica knows of one partition.
    pub(crate) fn known(&self, address: Address<'_>) -> Result<Option<Known>> {
        let known = self.world.known(&[address.partition.to_owned()])?;
        Ok(known.into_iter().next().flatten().and_then(|text| Known::parse(&text)))
    }

    /// The commit, if it was done before this call or (`began_at` is the first sequence it saw) by it. When its id may have
    /// been forgotten, the first of its entries that is still indexed tells.
    async fn find_commit(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        head: &Head,
        request: &PushRequest<W::Blob>,
        began_at: u64,
    ) -> Result<Option<CommitRecord>> {
        if let Some(commit) = head.commit(&request.commit_id) {
            return Ok(Some(commit.clone()));
        }
        let may_be_forgotten = !remembers_since(head, if request.may_be_repeated { 0 } else { began_at });
        for new in request.append.iter().filter(|_| may_be_forgotten) {
            let records = self.records_of(address, segments, head, &new.description.name, false).await?;
            let mut entries = records.values().filter_map(Record::entry);
            if let Some(entry) = entries.find(|entry| entry.to_entry().description == new.description) {
                return Ok(Some(CommitRecord { id: request.commit_id.clone(), sequence: entry.sequence }));
            }
        }
        Ok(None)
    }

    /// The receipt of a commit that was done before; a lease that is still ours is given up if that was asked.
    async fn finish_done(
        &self,
        address: Address<'_>,
        segments: &mut Segments,
        request: &PushRequest<W::Blob>,
        snapshot: &Snapshot,
        done: &CommitRecord,
    ) -> Result<Receipt> {
        let Root::Head(head) = &snapshot.root else { return Err(lease_gone(address)) };
        let mut entries = Vec::new();
        let mut collected = Vec::new();
        let mut removed = Vec::new();
        for (position, new) in request.append.iter().enumerate() {
            let all = self.records_of(address, segments, head, &new.description.name, false).await?;
            let records = all.range(new.version.unwrap_or(0)..=new.version.unwrap_or(u64::MAX));
            match records.rev().find_map(|(_, record)| written_by(record, done.sequence, new)) {
                Some(entry) => entries.push(entry),
                None => collected.push(position),
            }
            removed.extend(all.values().filter_map(|record| removed_by(record, done.sequence)));
        }
        for reference in &request.remove {
            let records = self.records_of(address, segments, head, &reference.name, false).await?;
            removed.extend(records.get(&reference.version).and_then(|record| removed_by(record, done.sequence)));
        }
        removed.sort();
        removed.dedup();
        let version = behind(self.known(address)?, head).to_text();
        let mut lease = None;
        if request.lease.as_ref().is_some_and(|lease| holds(&snapshot.root, lease)) {
            let current = lease_of(address.partition, snapshot);
            if request.release {
                // What fails here is left to the lease's time to live: the commit is done.
                let _ = self.release(address.namespace, &current).await;
            } else {
                lease = Some(current);
            }
        }
        Ok(Receipt { entries, collected, removed, version, lease })
    }
}

/// The number that a version keeps, or the next one.
fn numbered<B>(address: Address<'_>, new: &NewEntry<B>, highest: u64) -> Result<u64> {
    let name = &new.description.name;
    match new.version {
        None => highest
            .checked_add(1)
            .ok_or_else(|| Error::corrupt(&address.key(), format!("{name} has used up its version numbers"))),
        Some(version) if version > highest => Ok(version),
        Some(version) => {
            let message = format!("{name} of {} cannot be version {version}: it has had {highest}", address.partition);
            Err(Error::new(ErrorKind::Conflict, name.clone(), message))
        }
    }
}

/// Puts a mark in the place of an entry.
pub(crate) fn mark_gone(head: &mut Head, entry: &EntryRecord, reason: Reason, since_ms: u64) -> VersionReference {
    let gone = entry.gone(head.sequence, reason, since_ms);
    head.totals.entries = head.totals.entries.saturating_sub(1);
    head.totals.bytes = head.totals.bytes.saturating_sub(entry.size);
    if gone.rest.is_some() {
        head.totals.tombstones += 1;
        head.totals.tombstone_bytes = head.totals.tombstone_bytes.saturating_add(entry.size);
    }
    head.put_recent(Record::Gone(gone));
    entry.reference()
}

/// The replica keeps knowing what it knew: its next pull brings what it missed.
fn behind(known: Option<Known>, head: &Head) -> Known {
    let known = known.filter(|known| known.lineage == head.lineage).unwrap_or_else(|| Known::nothing_of(head));
    Known { etag: String::new(), ..known }
}

/// What the commit does with the lease.
fn settle_lease(head: &mut Head, request: &PushRequest<impl Blob>, next: Option<Next>) {
    if request.lease.is_none() {
        if head.lease.take().is_some() {
            head.epoch += 1;
        }
    } else if request.release {
        head.lease = None;
        head.next = next;
    } else if let Some(lease) = &mut head.lease {
        lease.beat += 1;
    }
}

/// Versions that leave when `new` comes: the oldest beyond the cap. A version of a failed run never pushes out the newest
/// one of a good run: the cap must not cost the only good data there is.
fn over_cap<'a, B>(records: impl Iterator<Item = &'a Record>, new: &NewEntry<B>) -> Vec<&'a EntryRecord> {
    let Some(cap) = new.version_cap else { return Vec::new() };
    let live: Vec<&EntryRecord> = records.filter_map(Record::entry).collect();
    let excess = (live.len() + 1).saturating_sub(cap.max(1) as usize);
    let newest_good = live.iter().rposition(|entry| !entry.of_failed_run).filter(|_| new.description.of_failed_run);
    let leaves = |index: &usize| Some(*index) != newest_good;
    (0..live.len()).filter(leaves).take(excess).map(|index| live[index]).collect()
}

/// Whether a commit after this sequence, or one that was done then, is among the remembered ones.
fn remembers_since(head: &Head, sequence: u64) -> bool {
    head.commits.first().is_none_or(|oldest| oldest.sequence <= sequence + 1)
}

fn written_by<B>(record: &Record, sequence: u64, new: &NewEntry<B>) -> Option<Entry> {
    match record {
        Record::Entry(entry) => {
            let same = entry.sequence == sequence || entry.to_entry().description == new.description;
            same.then(|| entry.to_entry())
        }
        Record::Gone(gone) if gone.written == sequence => Some(Entry {
            description: new.description.clone(),
            version: gone.version,
            location: gone.rest.as_ref().map_or_else(|| "inline".to_owned(), |rest| rest.place.location()),
        }),
        Record::Gone(_) => None,
    }
}

fn removed_by(record: &Record, sequence: u64) -> Option<VersionReference> {
    match record {
        Record::Gone(gone) if gone.sequence == sequence => {
            Some(VersionReference { name: gone.name.clone(), version: gone.version })
        }
        _ => None,
    }
}

fn check_push(request: &PushRequest<impl Blob>) -> Result<()> {
    keys::check_namespace(&request.namespace)?;
    keys::check_partition(&request.partition)?;
    if !keys::is_identity(&request.commit_id) {
        return Err(Error::input("commit-id", "1 to 64 lower-case letters, digits and '-'"));
    }
    if request.append.len() + request.remove.len() > COMMIT_ENTRIES_MAX {
        return Err(Error::input("append", format!("at most {COMMIT_ENTRIES_MAX} entries in one commit")));
    }
    if request.lease.as_ref().is_some_and(|lease| lease.partition != request.partition) {
        return Err(Error::input(request.partition.clone(), "the lease of a commit is the partition's own"));
    }
    let mut names = std::collections::BTreeMap::new();
    for new in &request.append {
        if let Some(fault) = description_fault(&new.description) {
            return Err(Error::input(new.description.name.chars().take(80).collect::<String>(), fault));
        }
        let before: Option<Option<u64>> = names.insert(&new.description.name, new.version);
        if before.is_some_and(|before| before.is_none() || new.version <= before) {
            let rule = "a commit has one version of a name, or several with rising numbers";
            return Err(Error::input(new.description.name.clone(), rule));
        }
    }
    match request.remove.iter().find(|reference| !keys::is_data_name(&reference.name)) {
        Some(bad) => Err(Error::input(bad.name.chars().take(80).collect::<String>(), "not a data name")),
        None => Ok(()),
    }
}
