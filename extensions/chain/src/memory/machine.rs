//! One process on one machine: its replica, its identity, its view of the store. Every request is a point where others may
//! run, before and after it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::store::{Bytes, Store};
use crate::error::{Error, Result};
use crate::ports::{
    Clock, Condition, Folders, Holder, Holders, Listing, Lookup, ObjectStore, Progress, Random, Range, Replica, Unit,
};

/// A process. Clones share everything.
#[derive(Debug, Clone)]
pub struct Machine {
    store: Store,
    holder: Rc<Holder>,
    cache: Rc<RefCell<BTreeMap<String, Vec<u8>>>>,
    known: Rc<RefCell<BTreeMap<String, String>>>,
    dead: Rc<RefCell<BTreeSet<u32>>>,
    reports: Rc<RefCell<Vec<String>>>,
    clock_skew_ms: Rc<Cell<i64>>,
}

impl Machine {
    /// Process `pid` of a host of its own, with an empty replica.
    pub fn new(store: &Store, pid: u32) -> Self {
        let holder = Holder {
            host: format!("host-{pid}"),
            boot_id: format!("boot-{pid}"),
            pid_namespace: "1".to_owned(),
            pid,
            process_start: u64::from(pid),
            command: "model method run web inventory".to_owned(),
        };
        Self {
            store: store.clone(),
            holder: Rc::new(holder),
            cache: Rc::default(),
            known: Rc::default(),
            dead: Rc::default(),
            reports: Rc::default(),
            clock_skew_ms: Rc::default(),
        }
    }

    /// Another process on the same machine: the same replica, another pid.
    pub fn sibling(&self, pid: u32) -> Self {
        let holder = Rc::new(Holder { pid, process_start: u64::from(pid), ..(*self.holder).clone() });
        Self { holder, ..self.clone() }
    }

    /// From now on this machine knows process `pid` to be gone.
    pub fn bury(&self, pid: u32) {
        self.dead.borrow_mut().insert(pid);
    }

    /// Sets the wall clock off by so much.
    pub fn skew_clock(&self, skew_ms: i64) {
        self.clock_skew_ms.set(skew_ms);
    }

    /// What the replica took over.
    pub fn set_known(&self, partition: &str, version: &str) {
        self.known.borrow_mut().insert(partition.to_owned(), version.to_owned());
    }

    /// Forgets all that was cached.
    pub fn clear_cache(&self) {
        self.cache.borrow_mut().clear();
    }

    /// Progress messages since the last call.
    pub fn take_reports(&self) -> Vec<String> {
        std::mem::take(&mut self.reports.borrow_mut())
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    async fn request<T>(&self, request: impl FnOnce() -> Result<T>) -> Result<T> {
        let latency_ms = self.store.latency_ms();
        Yield(false).await;
        self.sleep(latency_ms / 2).await;
        let answer = request();
        self.sleep(latency_ms - latency_ms / 2).await;
        Yield(false).await;
        answer
    }
}

impl ObjectStore for Machine {
    type Blob = Bytes;

    async fn blob(&self, bytes: &[u8]) -> Result<Bytes> {
        Ok(Bytes(Rc::new(bytes.to_vec())))
    }

    fn description(&self) -> String {
        "memory".to_owned()
    }

    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup<Bytes>> {
        self.request(|| {
            let (object, content) = self.store.get(key)?;
            if unless_etag == Some(&object.etag) {
                return Ok(Lookup::NotModified);
            }
            self.store.sent_down(content.0.len());
            Ok(Lookup::Found { object, content, store_time_ms: self.store.now_ms() })
        })
        .await
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<Bytes>> {
        self.request(|| {
            let (_, content) = self.store.get(key)?;
            let part = |range: &Range| {
                let (begin, end) = (range.offset as usize, (range.offset + range.length) as usize);
                let part = content.0.get(begin..end);
                self.store.sent_down(range.length as usize);
                part.map(|part| Bytes(Rc::new(part.to_vec()))).ok_or_else(|| Error::corrupt(key, "it is too short"))
            };
            ranges.iter().map(part).collect()
        })
        .await
    }

    async fn put(&self, key: &str, content: &Bytes, condition: Condition) -> Result<String> {
        self.request(|| self.store.put(key, content.0.to_vec(), &condition)).await
    }

    async fn put_concatenated(&self, key: &str, parts: &[&Bytes], condition: Condition) -> Result<String> {
        let bytes = parts.iter().flat_map(|part| part.0.iter().copied()).collect();
        self.request(|| self.store.put(key, bytes, &condition)).await
    }

    async fn copy(&self, source: &str, to: &str) -> Result<String> {
        self.request(|| self.store.copy(source, to)).await
    }

    async fn folders(&self, prefix: &str, cursor: Option<&str>) -> Result<Folders> {
        self.request(|| self.store.folders(prefix, cursor)).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>) -> Result<Listing> {
        self.request(|| self.store.list(prefix, cursor)).await
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, Error)>> {
        self.request(|| self.store.delete(keys)).await
    }
}

impl Clock for Machine {
    fn now_ms(&self) -> u64 {
        self.store.now_ms().saturating_add_signed(self.clock_skew_ms.get())
    }

    fn elapsed_ms(&self) -> u64 {
        self.store.now_ms()
    }

    async fn sleep(&self, duration_ms: u64) {
        let until_ms = self.store.now_ms() + duration_ms;
        while self.store.now_ms() < until_ms {
            Sleep { store: self.store.clone(), until_ms, polled: false }.await;
        }
    }
}

impl Random for Machine {
    fn bytes(&self, length: u32) -> Vec<u8> {
        (0..length).map(|_| self.store.chance().to_le_bytes()[0]).collect()
    }
}

impl Replica for Machine {
    fn known(&self, partitions: &[String]) -> Result<Vec<Option<String>>> {
        let known = self.known.borrow();
        Ok(partitions.iter().map(|partition| known.get(partition).cloned()).collect())
    }

    async fn cached(&self, key: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.cache.borrow().get(key).cloned())
    }

    async fn cache(&self, key: &str, content: &[u8]) -> Result<()> {
        self.cache.borrow_mut().insert(key.to_owned(), content.to_vec());
        Ok(())
    }
}

impl Holders for Machine {
    fn current(&self) -> Holder {
        (*self.holder).clone()
    }

    fn is_dead(&self, holder: &Holder) -> bool {
        holder.boot_id == self.holder.boot_id && self.dead.borrow().contains(&holder.pid)
    }
}

impl Progress for Machine {
    fn report(&self, message: &str, _done: u64, _total: Option<u64>, _unit: Unit) {
        self.reports.borrow_mut().push(message.to_owned());
    }
}

/// Lets others run once.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// One look at the clock: when nobody else has anything to do the scheduler moves it.
struct Sleep {
    store: Store,
    until_ms: u64,
    polled: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.polled || self.store.now_ms() >= self.until_ms {
            return Poll::Ready(());
        }
        self.polled = true;
        self.store.wants_to_sleep_until(self.until_ms);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
