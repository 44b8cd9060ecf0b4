//! What the tests of the protocol share: a store that is set up, and short ways to run, append and read.

use std::rc::Rc;

use peat_chain::memory::{Bytes, Machine, Schedule, Store};
use peat_chain::types::{
    AcquireRequest, Depth, Description, Lease, Lifetime, NewEntry, PullPage, PullRequest, PushRequest, Receipt,
};
use peat_chain::{Chain, Result};

pub(crate) const NAMESPACE: &str = "default";
pub(crate) const PARTITION: &str = "model--command+shell--0a1b2c3d";
pub(crate) const HEAD: &str = "default/_index/model--command+shell--0a1b2c3d.json";
pub(crate) const TTL_MS: u64 = 30_000;

/// Runs one future alone on the store.
pub(crate) fn run<T>(store: &Store, future: impl Future<Output = T>) -> T {
    Schedule::block_on(store, future)
}

/// A store that was set up by a machine of its own.
pub(crate) fn store(seed: u64) -> Store {
    let store = Store::new(seed);
    let profile = run(&store, machine(&store, 9_999).setup(NAMESPACE)).unwrap();
    assert!(!profile.store_id.is_empty());
    store.take_requests();
    store
}

pub(crate) fn machine(store: &Store, pid: u32) -> Chain<Machine> {
    Chain::new(Machine::new(store, pid))
}

pub(crate) fn bytes(content: &[u8]) -> Bytes {
    Bytes(Rc::new(content.to_vec()))
}

pub(crate) fn digest(content: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of a record in the store: an object that begins with the checksum of the rest. Made from
/// docs/shared-store.md, not from the protocol's code.
pub(crate) fn sealed(record: &str) -> Vec<u8> {
    format!("{{\"checksum\":\"{}\",{}", digest(record.as_bytes()), &record[1..]).into_bytes()
}

/// The record without its checksum.
pub(crate) fn unsealed(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap();
    let (checksum, rest) = text.strip_prefix("{\"checksum\":\"").unwrap().split_once("\",").unwrap();
    let record = format!("{{{rest}");
    assert_eq!(checksum, digest(record.as_bytes()));
    record
}

pub(crate) fn new_entry(name: &str, content: &[u8], run_id: &str) -> NewEntry<Bytes> {
    let description = Description {
        name: name.to_owned(),
        size: content.len() as u64,
        digest: digest(content),
        content_type: "text/plain".to_owned(),
        lifetime: Lifetime::Infinite,
        tags: Vec::new(),
        created_at_ms: 1_800_000_000_000,
        run_id: run_id.to_owned(),
        of_failed_run: false,
    };
    NewEntry { description, content: bytes(content), version_cap: None, version: None }
}

pub(crate) fn push_request(commit_id: &str, append: Vec<NewEntry<Bytes>>, lease: Option<Lease>) -> PushRequest<Bytes> {
    PushRequest {
        namespace: NAMESPACE.to_owned(),
        partition: PARTITION.to_owned(),
        release: lease.is_some(),
        lease,
        commit_id: commit_id.to_owned(),
        may_be_repeated: false,
        append,
        remove: Vec::new(),
    }
}

pub(crate) fn acquire_request(wait_ms: u64) -> AcquireRequest {
    AcquireRequest {
        namespace: NAMESPACE.to_owned(),
        partitions: vec![PARTITION.to_owned()],
        ttl_ms: TTL_MS,
        wait_ms,
        holds_others: false,
    }
}

pub(crate) async fn acquire(chain: &Chain<Machine>, wait_ms: u64) -> Result<Lease> {
    chain.acquire(&acquire_request(wait_ms)).await.map(|leases| leases.into_iter().next().unwrap())
}

/// Acquires, commits one entry and releases.
pub(crate) async fn write(chain: &Chain<Machine>, commit_id: &str, name: &str, content: &[u8]) -> Result<Receipt> {
    let lease = acquire(chain, 600_000).await?;
    chain.push(&push_request(commit_id, vec![new_entry(name, content, commit_id)], Some(lease))).await
}

pub(crate) fn pull_request(cursor: Option<String>) -> PullRequest {
    PullRequest { namespace: NAMESPACE.to_owned(), partitions: None, leases: Vec::new(), depth: Depth::Index, cursor }
}

pub(crate) async fn pull(chain: &Chain<Machine>) -> Result<PullPage<Bytes>> {
    chain.pull(&pull_request(None)).await
}

/// The same commit in another namespace.
pub(crate) fn push_to(namespace: &str, request: PushRequest<Bytes>) -> PushRequest<Bytes> {
    PushRequest { namespace: namespace.to_owned(), ..request }
}

/// Acquires, commits one entry and releases, in any namespace and partition.
pub(crate) async fn write_to(
    chain: &Chain<Machine>,
    (namespace, partition): (&str, &str),
    commit_id: &str,
    name: &str,
    content: &[u8],
) -> Result<Receipt> {
    let request = AcquireRequest {
        namespace: namespace.to_owned(),
        partitions: vec![partition.to_owned()],
        ..acquire_request(600_000)
    };
    let lease = chain.acquire(&request).await?.pop();
    let push = push_request(commit_id, vec![new_entry(name, content, commit_id)], lease);
    chain.push(&PushRequest { partition: partition.to_owned(), ..push_to(namespace, push) }).await
}

/// Everything a namespace has, as (partition, name, version, run, content): told to a machine that knows nothing.
pub(crate) async fn contents(
    store: &Store,
    namespace: &str,
) -> Result<std::collections::BTreeMap<(String, String, u64), (String, Vec<u8>)>> {
    let reader = machine(store, 7_777);
    let mut found = std::collections::BTreeMap::new();
    let mut request = PullRequest { namespace: namespace.to_owned(), depth: Depth::Content, ..pull_request(None) };
    loop {
        let page = reader.pull(&request).await?;
        for delta in page.deltas {
            for pulled in delta.entries {
                let description = pulled.entry.description;
                let content = pulled.content.unwrap().0.to_vec();
                assert_eq!(digest(&content), description.digest);
                let key = (delta.partition.clone(), description.name, pulled.entry.version);
                assert!(found.insert(key, (description.run_id, content)).is_none());
            }
        }
        request.cursor = page.cursor;
        if request.cursor.is_none() {
            return Ok(found);
        }
    }
}

/// Takes steps until the last, as a host does.
pub(crate) async fn to_the_end(
    mut step: impl AsyncFnMut(Option<&str>) -> Result<peat_chain::types::Step>,
) -> Result<peat_chain::types::Step> {
    let mut state: Option<String> = None;
    loop {
        let taken = step(state.as_deref()).await?;
        if taken.done {
            return Ok(taken);
        }
        state = Some(taken.state);
    }
}
