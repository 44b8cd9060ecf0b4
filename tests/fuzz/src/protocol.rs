//! A shared store in which something lies that no sound writer put there, and a machine that works with it.

use peat_chain::head::{Head, SegmentReference};
use peat_chain::memory::{Bytes, Machine, Schedule, Store};
use peat_chain::record::Place;
use peat_chain::types::{
    AcquireRequest, Depth, Description, Lease, Lifetime, NewEntry, PullRequest, PushRequest, Wanted,
};
use peat_chain::{Chain, Error, keys};

use crate::records::{NAMESPACE, PARTITION, digest, sealed};

/// Most pages of one pull.
const PAGES_MAX: usize = 100;

/// Most requests that everything a machine does here may take.
const REQUESTS_MAX: usize = 2_000;

/// Longest location of an entry, in bytes, as the contract has it.
const LOCATION_BYTES_MAX: usize = 512;

/// Highest sequence of the head that refers to a segment under test.
const SEQUENCE: u64 = 1 << 40;

/// A segment: JSON, which is deflated here, or what is deflated already.
pub(crate) fn segment(input: &[u8]) -> bool {
    let bytes = match input.first() {
        Some(b'{') => miniz_oxide::deflate::compress_to_vec(input, 1),
        _ => input.to_vec(),
    };
    let store = furnished();
    let digest = digest(&bytes);
    store.tamper(&keys::segment(NAMESPACE, PARTITION, &digest), &bytes);
    let mut head = Head::new(PARTITION, "0".repeat(32));
    head.sequence = SEQUENCE;
    head.segments.push(SegmentReference {
        digest,
        first: "a".to_owned(),
        first_version: 1,
        records: 1,
        bytes: bytes.len() as u64,
        newest: SEQUENCE,
        expires_ms: None,
        tombstones: 0,
    });
    store.tamper(&keys::head(NAMESPACE, PARTITION), &head.encode());
    work(&store)
}

/// Any object of the store: the first byte says which, the rest is what lies there.
pub(crate) fn store(input: &[u8]) -> bool {
    let Some((which, record)) = input.split_first() else { return false };
    let store = furnished();
    let key = match which % 4 {
        0 => keys::head(NAMESPACE, PARTITION),
        1 => keys::meta(NAMESPACE),
        2 => keys::STORE_RECORD.to_owned(),
        _ => format!("{}0000000000001-0a1b2c3d", keys::queue_prefix(NAMESPACE, PARTITION)),
    };
    store.tamper(&key, &sealed(record));
    work(&store)
}

/// A store with one partition that has a version.
pub(crate) fn furnished() -> Store {
    let store = Store::new(1);
    let writer = Chain::new(Machine::new(&store, 1));
    Schedule::block_on(&store, async {
        writer.setup(NAMESPACE).await.expect("nothing stands in the way");
        writer.push(&commit(None)).await.expect("nothing stands in the way");
    });
    store.take_requests();
    store
}

/// Everything a machine does in its life, as far as it comes. Answers whether the partition could be read.
fn work(store: &Store) -> bool {
    let chain = Chain::new(Machine::new(store, 7));
    let read = Schedule::block_on(store, async {
        let read = pull(&chain).await;
        told(chain.inspect(NAMESPACE, None).await);
        if let Some(lease) = told(chain.acquire(&acquisition()).await).and_then(|leases| leases.into_iter().next()) {
            let lease = told(chain.renew(NAMESPACE, &lease).await).unwrap_or(lease);
            told(chain.push(&commit(Some(lease))).await);
        }
        told(pull(&chain).await);
        told(chain.verify(NAMESPACE).await);
        told(read).is_some()
    });
    let requests = store.take_requests().len();
    assert!(requests <= REQUESTS_MAX, "{requests} requests");
    read
}

/// All news of the partition, with its content.
async fn pull(chain: &Chain<Machine>) -> Result<(), Error> {
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let request = PullRequest {
            namespace: NAMESPACE.to_owned(),
            partitions: Some(vec![PARTITION.to_owned()]),
            leases: Vec::new(),
            depth: Depth::Index,
            cursor,
        };
        let page = chain.pull(&request).await?;
        for delta in &page.deltas {
            assert!(keys::is_partition(&delta.partition));
            for pulled in &delta.entries {
                let entry = &pulled.entry;
                assert!(keys::is_data_name(&entry.description.name) && entry.version > 0);
                assert!(keys::is_hexadecimal(&entry.description.digest, 64));
                assert!(entry.location.len() <= LOCATION_BYTES_MAX);
                let place = Place::parse(&entry.location).expect("what is told can be asked for");
                assert_eq!(place.location(), entry.location);
                if let Some(content) = &pulled.content {
                    assert_eq!(content.0.len() as u64, entry.description.size);
                }
            }
            let wanted: Vec<Wanted> = delta.entries.iter().take(3).map(|pulled| wanted(&pulled.entry)).collect();
            if let Some(fetched) = told(chain.fetch(NAMESPACE, &wanted).await) {
                fetched.into_iter().for_each(|content| drop(told(content)));
            }
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
    panic!("{PAGES_MAX} pages are not the end of one partition");
}

/// The answer, if it is one. An error says what it is about and what is wrong.
fn told<T>(answer: Result<T, Error>) -> Option<T> {
    if let Err(error) = &answer {
        assert!(!error.subject.is_empty() && !error.message.is_empty(), "{error:?}");
    }
    answer.ok()
}

fn wanted(entry: &peat_chain::types::Entry) -> Wanted {
    Wanted {
        partition: PARTITION.to_owned(),
        name: entry.description.name.clone(),
        version: entry.version,
        size: entry.description.size,
        digest: entry.description.digest.clone(),
        location: entry.location.clone(),
    }
}

pub(crate) fn acquisition() -> AcquireRequest {
    AcquireRequest {
        namespace: NAMESPACE.to_owned(),
        partitions: vec![PARTITION.to_owned()],
        ttl_ms: 30_000,
        wait_ms: 0,
        holds_others: false,
    }
}

/// A commit of one small and one large item.
pub(crate) fn commit(lease: Option<Lease>) -> PushRequest<Bytes> {
    let entry = |name: &str, content: Vec<u8>| NewEntry {
        description: Description {
            name: name.to_owned(),
            size: content.len() as u64,
            digest: digest(&content),
            content_type: "text/plain".to_owned(),
            lifetime: Lifetime::Infinite,
            tags: Vec::new(),
            created_at_ms: 1_800_000_000_000,
            run_id: "01hzzzzz-abcd".to_owned(),
            of_failed_run: false,
        },
        content: Bytes(content.into()),
        version_cap: Some(2),
        version: None,
    };
    PushRequest {
        namespace: NAMESPACE.to_owned(),
        partition: PARTITION.to_owned(),
        release: lease.is_some(),
        commit_id: if lease.is_some() { "commit-2".to_owned() } else { "commit-1".to_owned() },
        lease,
        may_be_repeated: false,
        append: vec![entry("a", b"small".to_vec()), entry("reports/b", vec![7; 6_000])],
        remove: Vec::new(),
    }
}
