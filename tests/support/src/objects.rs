//! An object store in memory, and one that fails when told to.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use peat_core::content::{self, SharedContent};
use peat_core::ports::{Condition, Found, Listing, Lookup, ObjectError, ObjectInfo, ObjectStore, Range};

/// Objects of a page.
const PAGE_OBJECTS: usize = 1_000;

/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 1_024;

/// A linearizable object store. Its clock counts the requests, so every answer has a time of its own.
#[derive(Debug, Default)]
pub struct MemoryObjects(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    now_ms: u64,
    objects: BTreeMap<String, Object>,
}

#[derive(Debug, Clone)]
struct Object {
    bytes: Vec<u8>,
    etag: String,
    modified_ms: u64,
}

impl Object {
    fn info(&self, key: &str) -> ObjectInfo {
        ObjectInfo {
            key: key.to_owned(),
            size: self.bytes.len() as u64,
            etag: self.etag.clone(),
            modified_ms: self.modified_ms,
        }
    }
}

impl MemoryObjects {
    /// The state at the time of a new request.
    fn request(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.now_ms += 1;
        state
    }
}

impl State {
    fn find(&self, key: &str) -> Result<&Object, ObjectError> {
        check(key)?;
        self.objects.get(key).ok_or_else(|| ObjectError::NotFound { key: key.to_owned() })
    }

    fn put(&mut self, key: &str, bytes: Vec<u8>, condition: &Condition) -> Result<String, ObjectError> {
        check(key)?;
        let holds = match (condition, self.objects.get(key)) {
            (Condition::Always, _) | (Condition::Absent, None) => true,
            (Condition::Matches(etag), Some(object)) => object.etag == *etag,
            _ => false,
        };
        if !holds {
            return Err(ObjectError::Conflict { key: key.to_owned() });
        }
        let etag = format!("etag-{}", self.now_ms);
        let object = Object { bytes, etag: etag.clone(), modified_ms: self.now_ms };
        self.objects.insert(key.to_owned(), object);
        Ok(etag)
    }
}

fn check(key: &str) -> Result<(), ObjectError> {
    let bad = key.len() > KEY_BYTES_MAX
        || key.contains(['\0', '\\'])
        || key.split('/').any(|segment| matches!(segment, "" | "." | ".."));
    if bad {
        let key = key.chars().take(80).collect();
        return Err(ObjectError::InvalidKey { key, reason: "no empty, '.' or '..' segments, NUL or backslash" });
    }
    Ok(())
}

#[async_trait]
impl ObjectStore for MemoryObjects {
    fn description(&self) -> String {
        "memory".to_owned()
    }

    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup, ObjectError> {
        let state = self.request();
        let object = state.find(key)?;
        if unless_etag == Some(object.etag.as_str()) {
            return Ok(Lookup::NotModified);
        }
        let content = content::in_memory(object.bytes.clone());
        Ok(Lookup::Found(Found { object: object.info(key), content, store_time_ms: state.now_ms }))
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<SharedContent>, ObjectError> {
        let whole = content::in_memory(self.request().find(key)?.bytes.clone());
        let outside =
            || ObjectError::Corrupt { key: key.to_owned(), reason: "a part outside was asked for".to_owned() };
        ranges.iter().map(|range| content::slice(&whole, range.offset, range.length).ok_or_else(outside)).collect()
    }

    async fn put(&self, key: &str, content: SharedContent, condition: Condition) -> Result<String, ObjectError> {
        let read = content::read_all(&*content, u64::MAX);
        let unreadable = |error: std::io::Error| ObjectError::Unavailable {
            key: key.to_owned(),
            reason: error.to_string(),
            retry_after_ms: None,
        };
        self.request().put(key, read.map_err(unreadable)?, &condition)
    }

    async fn copy(&self, source: &str, target: &str) -> Result<String, ObjectError> {
        let mut state = self.request();
        let bytes = state.find(source)?.bytes.clone();
        state.put(target, bytes, &Condition::Absent)
    }

    async fn list(&self, prefix: &str, delimiter: bool, cursor: Option<&str>) -> Result<Listing, ObjectError> {
        if let Some(directory) = prefix.rsplit_once('/').map(|(directory, _)| directory) {
            check(directory)?;
        }
        let state = self.request();
        let mut folded = BTreeSet::new();
        let mut objects = Vec::new();
        let after = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        for (key, object) in state.objects.range::<str, _>((after, Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(prefix) else { continue };
            match rest.find('/').filter(|_| delimiter) {
                None => objects.push(object.info(key)),
                Some(end) => {
                    let above = &key[..prefix.len() + end + 1];
                    if Some(above) > cursor && folded.insert(above) {
                        let key = above.to_owned();
                        objects.push(ObjectInfo { key, size: 0, etag: String::new(), modified_ms: 0 });
                    }
                }
            }
        }
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        let more = objects.len() > PAGE_OBJECTS;
        objects.truncate(PAGE_OBJECTS);
        let cursor = objects.last().filter(|_| more).map(|object| object.key.clone());
        Ok(Listing { objects, cursor, store_time_ms: state.now_ms })
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, ObjectError)>, ObjectError> {
        let mut state = self.request();
        let mut failures = Vec::new();
        for key in keys {
            match check(key) {
                Ok(()) => drop(state.objects.remove(key)),
                Err(error) => failures.push((key.clone(), error)),
            }
        }
        Ok(failures)
    }
}

/// When a request fails, seen from the object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives.
    BeforeItIsApplied,
    /// It is applied, and the answer is lost.
    AfterItIsApplied,
}

/// Passes requests on, except those that were told to fail.
#[derive(Debug)]
pub struct FailingObjects<S> {
    inner: S,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    requests: u64,
    faults: BTreeMap<u64, Fault>,
}

impl<S> FailingObjects<S> {
    /// Nothing fails yet.
    pub fn new(inner: S) -> Self {
        Self { inner, plan: Mutex::default() }
    }

    /// Makes the `number`th request fail, counted from 1.
    pub fn fail(&self, number: u64, fault: Fault) {
        self.plan().faults.insert(number, fault);
    }

    /// Requests made so far.
    pub fn requests(&self) -> u64 {
        self.plan().requests
    }

    /// What is below.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass<T: Send>(
        &self,
        key: &str,
        request: impl Future<Output = Result<T, ObjectError>> + Send,
    ) -> Result<T, ObjectError> {
        let fault = {
            let mut plan = self.plan();
            plan.requests += 1;
            let number = plan.requests;
            plan.faults.remove(&number)
        };
        let lost = |reason: &str| {
            Err(ObjectError::Unavailable { key: key.to_owned(), reason: reason.to_owned(), retry_after_ms: None })
        };
        match fault {
            None => request.await,
            Some(Fault::BeforeItIsApplied) => lost("the request was lost"),
            Some(Fault::AfterItIsApplied) => {
                let _ = request.await;
                lost("the answer was lost")
            }
        }
    }
}

#[async_trait]
impl<S: ObjectStore> ObjectStore for FailingObjects<S> {
    fn description(&self) -> String {
        self.inner.description()
    }

    async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup, ObjectError> {
        self.pass(key, self.inner.get(key, unless_etag)).await
    }

    async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<SharedContent>, ObjectError> {
        self.pass(key, self.inner.get_ranges(key, ranges)).await
    }

    async fn put(&self, key: &str, content: SharedContent, condition: Condition) -> Result<String, ObjectError> {
        self.pass(key, self.inner.put(key, content, condition)).await
    }

    async fn copy(&self, source: &str, target: &str) -> Result<String, ObjectError> {
        self.pass(target, self.inner.copy(source, target)).await
    }

    async fn list(&self, prefix: &str, delimiter: bool, cursor: Option<&str>) -> Result<Listing, ObjectError> {
        self.pass(prefix, self.inner.list(prefix, delimiter, cursor)).await
    }

    async fn delete(&self, keys: &[String]) -> Result<Vec<(String, ObjectError)>, ObjectError> {
        self.pass("delete", self.inner.delete(keys)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;

    #[test]
    fn a_planned_request_fails_before_or_after_it_is_applied() {
        let store = FailingObjects::new(MemoryObjects::default());
        store.fail(1, Fault::BeforeItIsApplied);
        store.fail(3, Fault::AfterItIsApplied);
        let put = |key: &str| block_on(store.put(key, content::in_memory(*b"x"), Condition::Absent)).is_ok();
        assert!(!put("a") && put("b") && !put("c"));
        assert_eq!(store.requests(), 3);
        let keys = block_on(store.inner().list("", false, None)).unwrap();
        assert_eq!(keys.objects.iter().map(|object| object.key.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    }
}
