//! The shared store: objects, conditions, a clock, counted requests, and faults.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::error::{Error, ErrorKind, Result};
use crate::ports::{Blob, Condition, Folders, Listing, Object};

/// Bytes behind a cheap handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Rc<Vec<u8>>);

impl Blob for Bytes {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    async fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>> {
        let begin = (offset as usize).min(self.0.len());
        let end = begin.saturating_add(length as usize).min(self.0.len());
        Ok(self.0[begin..end].to_vec())
    }

    fn slice(&self, offset: u64, length: u64) -> Result<Self> {
        let range = offset as usize..offset.saturating_add(length) as usize;
        let bytes = self.0.get(range).ok_or_else(|| Error::input("slice", "wholly inside the blob"))?;
        Ok(Self(Rc::new(bytes.to_vec())))
    }
}

/// What may happen to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not applied, and the answer says so only by silence.
    UnavailableBefore,
    /// It is applied, and the answer is lost.
    ReplyLost,
    /// It is applied, and a retry below us makes the answer a conflict.
    ConflictAfter,
    /// It is applied some time after the answer was given up.
    Delayed,
}

/// How often faults happen, in thousandths of the requests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Of reads, listings and writes.
    pub unavailable: u64,
    /// Of writes.
    pub reply_lost: u64,
    /// Of conditional writes.
    pub conflict_after: u64,
    /// Of writes.
    pub delayed: u64,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Rc<Vec<u8>>,
    etag: String,
    modified_ms: u64,
}

#[derive(Debug)]
struct Late {
    due_ms: u64,
    key: String,
    bytes: Rc<Vec<u8>>,
    condition: Condition,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Stored>,
    writes: u64,
    now_ms: u64,
    late: Vec<Late>,
    faults: Faults,
    forced: Vec<Fault>,
    random: u64,
    ignores_conditions: bool,
    refuses_deletes: bool,
    log: Vec<String>,
    sleepers: Vec<u64>,
    latency_ms: u64,
    traffic: Traffic,
}

/// Bytes of objects that were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// To the store.
    pub up: u64,
    /// From the store.
    pub down: u64,
}

/// The shared store. Clones are handles to the same one.
#[derive(Debug, Clone, Default)]
pub struct Store(Rc<RefCell<State>>);

/// Where virtual time begins: any date will do.
const EPOCH_MS: u64 = 1_800_000_000_000;

/// Longest delay of a late write in virtual milliseconds.
const LATE_MS_MAX: u64 = 20_000;

/// Fruitless polls a task, after which all are taken to sleep.
const IDLE_POLLS: usize = 4;

/// Keys of one listing page.
const LISTING_MAX: usize = 1_000;

impl Store {
    /// An empty store whose chances come from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State { now_ms: EPOCH_MS, random: seed.wrapping_mul(2).wrapping_add(1), ..State::default() };
        Self(Rc::new(RefCell::new(state)))
    }

    /// From now on faults happen so often.
    pub fn set_faults(&self, faults: Faults) {
        self.0.borrow_mut().faults = faults;
    }

    /// The next writes meet these faults, one each.
    pub fn force(&self, faults: &[Fault]) {
        self.0.borrow_mut().forced.extend(faults);
    }

    /// From now on conditions are accepted and ignored.
    pub fn ignore_conditions(&self) {
        self.0.borrow_mut().ignores_conditions = true;
    }

    /// From now on nothing may be deleted, or it may again.
    pub fn refuse_deletes(&self, refuses: bool) {
        self.0.borrow_mut().refuses_deletes = refuses;
    }

    /// Requests since the last call, as "PUT key", "GET key", "LIST prefix", "DELETE key".
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut().log)
    }

    /// From now on a request takes so long, there and back.
    pub fn set_latency_ms(&self, latency_ms: u64) {
        self.0.borrow_mut().latency_ms = latency_ms;
    }

    pub(super) fn latency_ms(&self) -> u64 {
        self.0.borrow().latency_ms
    }

    /// Bytes of objects that were sent since the last call, those of listings not counted.
    pub fn take_traffic(&self) -> Traffic {
        std::mem::take(&mut self.0.borrow_mut().traffic)
    }

    pub(super) fn sent_down(&self, bytes: usize) {
        self.0.borrow_mut().traffic.down += bytes as u64;
    }

    /// The bytes of an object, without a request.
    pub fn peek(&self, key: &str) -> Option<Vec<u8>> {
        self.0.borrow().objects.get(key).map(|stored| stored.bytes.to_vec())
    }

    /// Keys that begin with `prefix`, without a request.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.0.borrow().objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// Overwrites an object behind everybody's back.
    pub fn tamper(&self, key: &str, bytes: &[u8]) {
        self.0.borrow_mut().store(key, &Rc::new(bytes.to_vec()));
    }

    /// Deletes an object behind everybody's back.
    pub fn lose(&self, key: &str) {
        self.0.borrow_mut().objects.remove(key);
    }

    /// Virtual time.
    pub fn now_ms(&self) -> u64 {
        self.0.borrow().now_ms
    }

    /// Lets virtual time pass.
    pub fn advance(&self, duration_ms: u64) {
        self.0.borrow_mut().now_ms += duration_ms;
    }

    /// The next number of the seeded sequence (splitmix64).
    pub fn chance(&self) -> u64 {
        self.0.borrow_mut().chance()
    }

    pub(super) fn wants_to_sleep_until(&self, until_ms: u64) {
        self.0.borrow_mut().sleepers.push(until_ms);
    }

    /// Moves the clock to the first sleeper's time when nothing but sleep was asked for by `alive` tasks for a while.
    pub(super) fn sleep_when_idle(&self, alive: usize) {
        let mut state = self.0.borrow_mut();
        if state.sleepers.len() > IDLE_POLLS * alive
            && let Some(first) = state.sleepers.iter().min().copied()
        {
            state.now_ms = state.now_ms.max(first);
            state.sleepers.clear();
        }
    }

    pub(super) fn get(&self, key: &str) -> Result<(Object, Bytes)> {
        let mut state = self.0.borrow_mut();
        state.begin(format!("GET {key}"))?;
        let stored = state.objects.get(key).ok_or_else(|| absent(key))?;
        Ok((object(key, stored), Bytes(stored.bytes.clone())))
    }

    pub(super) fn put(&self, key: &str, bytes: Vec<u8>, condition: &Condition) -> Result<String> {
        let mut state = self.0.borrow_mut();
        state.begin(format!("PUT {key}"))?;
        state.traffic.up += bytes.len() as u64;
        state.write(key, Rc::new(bytes), condition)
    }

    pub(super) fn copy(&self, source: &str, to: &str) -> Result<String> {
        let mut state = self.0.borrow_mut();
        state.begin(format!("COPY {source} {to}"))?;
        let bytes = state.objects.get(source).ok_or_else(|| absent(source))?.bytes.clone();
        state.write(to, bytes, &Condition::Absent)
    }

    pub(super) fn folders(&self, prefix: &str, cursor: Option<&str>) -> Result<Folders> {
        let mut state = self.0.borrow_mut();
        state.begin(format!("LIST {prefix}*/"))?;
        let after = cursor.unwrap_or_default();
        let first = |key: &String| key.split_once('/').map(|(first, _)| format!("{first}/"));
        let mut names: Vec<String> =
            state.objects.keys().filter(|key| key.starts_with(prefix)).filter_map(first).collect();
        names.dedup();
        names.retain(|name| name.as_str() > after);
        let more = names.len() > LISTING_MAX;
        names.truncate(LISTING_MAX);
        let cursor = names.last().filter(|_| more).cloned();
        Ok(Folders { names, cursor, store_time_ms: state.now_ms })
    }

    pub(super) fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Listing> {
        let mut state = self.0.borrow_mut();
        state.begin(format!("LIST {prefix}"))?;
        let after = cursor.unwrap_or_default();
        let matching = state.objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after);
        let mut objects: Vec<Object> =
            matching.take(LISTING_MAX + 1).map(|(key, stored)| object(key, stored)).collect();
        let more = objects.len() > LISTING_MAX;
        objects.truncate(LISTING_MAX);
        let cursor = objects.last().filter(|_| more).map(|last| last.key.clone());
        Ok(Listing { objects, cursor, store_time_ms: state.now_ms })
    }

    pub(super) fn delete(&self, keys: &[String]) -> Result<Vec<(String, Error)>> {
        let mut state = self.0.borrow_mut();
        state.begin(format!("DELETE {}", keys.join(" ")))?;
        if state.refuses_deletes {
            let refused = |key: &String| (key.clone(), Error::new(ErrorKind::Denied, key, "deleting is not allowed"));
            return Ok(keys.iter().map(refused).collect());
        }
        for key in keys {
            state.objects.remove(key);
        }
        Ok(Vec::new())
    }
}

impl State {
    /// Counts a request, applies what is due, and may lose it.
    fn begin(&mut self, request: String) -> Result<()> {
        let (due, late) =
            std::mem::take(&mut self.late).into_iter().partition(|late: &Late| late.due_ms <= self.now_ms);
        self.late = late;
        for late in due {
            let _ = self.apply(&late.key, &late.bytes, &late.condition);
        }
        self.sleepers.clear();
        let is_read = !request.starts_with("PUT") && !request.starts_with("COPY");
        let subject = request.clone();
        self.log.push(request);
        if is_read && self.chance() % 1000 < self.faults.unavailable {
            return Err(unavailable(&subject));
        }
        Ok(())
    }

    fn write(&mut self, key: &str, bytes: Rc<Vec<u8>>, condition: &Condition) -> Result<String> {
        let fault = self.write_fault(condition);
        match fault {
            Some(Fault::UnavailableBefore) => return Err(unavailable(key)),
            Some(Fault::Delayed) => {
                let due_ms = self.now_ms + 1 + self.chance() % LATE_MS_MAX;
                let (key, condition) = (key.to_owned(), condition.clone());
                self.late.push(Late { due_ms, key: key.clone(), bytes, condition });
                return Err(unavailable(&key));
            }
            _ => {}
        }
        let etag = self.apply(key, &bytes, condition)?;
        match fault {
            Some(Fault::ReplyLost) => Err(unavailable(key)),
            Some(Fault::ConflictAfter) => Err(conflict(key)),
            _ => Ok(etag),
        }
    }

    fn write_fault(&mut self, condition: &Condition) -> Option<Fault> {
        if !self.forced.is_empty() {
            return Some(self.forced.remove(0));
        }
        let conflict_after = if *condition == Condition::Always { 0 } else { self.faults.conflict_after };
        let choices = [
            (self.faults.unavailable, Fault::UnavailableBefore),
            (self.faults.reply_lost, Fault::ReplyLost),
            (conflict_after, Fault::ConflictAfter),
            (self.faults.delayed, Fault::Delayed),
        ];
        let mut drawn = self.chance() % 1000;
        for (share, fault) in choices {
            if drawn < share {
                return Some(fault);
            }
            drawn -= share;
        }
        None
    }

    fn apply(&mut self, key: &str, bytes: &Rc<Vec<u8>>, condition: &Condition) -> Result<String> {
        let current = self.objects.get(key).map(|stored| stored.etag.as_str());
        let holds = match condition {
            Condition::Always => true,
            Condition::Absent => current.is_none(),
            Condition::Matches(etag) => current == Some(etag),
        };
        if !holds && !self.ignores_conditions {
            return Err(conflict(key));
        }
        Ok(self.store(key, bytes))
    }

    fn store(&mut self, key: &str, bytes: &Rc<Vec<u8>>) -> String {
        self.writes += 1;
        let etag = format!("e{}", self.writes);
        let stored = Stored { bytes: bytes.clone(), etag: etag.clone(), modified_ms: self.now_ms };
        self.objects.insert(key.to_owned(), stored);
        etag
    }

    fn chance(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

fn object(key: &str, stored: &Stored) -> Object {
    let size = stored.bytes.len() as u64;
    Object { key: key.to_owned(), size, etag: stored.etag.clone(), modified_ms: stored.modified_ms }
}

fn absent(key: &str) -> Error {
    Error::new(ErrorKind::NotFound, key, format!("there is no object {key}"))
}

fn conflict(key: &str) -> Error {
    Error::new(ErrorKind::Conflict, key, format!("object {key} was changed by somebody else"))
}

fn unavailable(key: &str) -> Error {
    Error::new(ErrorKind::Unavailable(None), key, format!("{key}: the store does not answer"))
}
