//! Seeds made by the code that writes such things for real.

use peat_chain::memory::{Bytes, Machine, Schedule, Store};
use peat_chain::ports::{Lookup, ObjectStore as _};
use peat_chain::types::{
    AcquireRequest, Depth, Description, Lease, Lifetime, NewEntry, PullRequest, PushRequest, Tag, VersionReference,
};
use peat_chain::{Chain, keys};
use sha2::{Digest as _, Sha256};

const NAMESPACE: &str = "default";
const PARTITION: &str = "model--command+shell--0a1b2c3d";

/// Bytes of a checksum and what stands around it at the beginning of a record.
const FRAME_BYTES: usize = "{\"checksum\":\"".len() + 64 + "\",".len();

/// Target, name of the file, input.
type Made = (&'static str, String, Vec<u8>);

/// All of them.
pub(crate) fn all() -> Vec<Made> {
    let mut made = records();
    made.extend(carried());
    made.extend(components());
    made.extend(conversations());
    made
}

/// Heads in several states of a partition's life, segments, tickets, roots.
fn records() -> Vec<Made> {
    let store = Store::new(5);
    let writer = Chain::new(Machine::new(&store, 1));
    let mut made = Vec::new();
    let mut keep_head = |name: &str| {
        let record = unsealed(&store.peek(&keys::head(NAMESPACE, PARTITION)).unwrap());
        // Its segments are not in the store that the target makes.
        let prefix = if name == "segments" { "refused-head" } else { "head" };
        made.push(("store", format!("{prefix}-{name}"), [b"\0", record.as_slice()].concat()));
        made.push(("head", name.to_owned(), record));
    };
    run(&store, writer.setup(NAMESPACE)).unwrap();
    run(&store, writer.push(&commit("first", vec![entry("a", b"inlined", 1)], None))).unwrap();
    keep_head("one-entry");
    let lease = acquire(&store, &writer);
    keep_head("leased");
    let ticket = ticket(&store);
    run(&store, writer.push(&commit("second", vec![entry("a", b"second", 2)], Some(lease)))).unwrap();
    keep_head("named-next");
    let large = vec![entry("reports/large", &[7; 9_000], 1), entry("reports/2026.json", &[8; 5_000], 1)];
    run(&store, writer.push(&commit("packed", large, None))).unwrap();
    let mut remove = commit("removed", vec![entry("a", b"third", 1)], None);
    remove.remove = vec![VersionReference { name: "reports/large".to_owned(), version: 1 }];
    run(&store, writer.push(&remove)).unwrap();
    keep_head("packed-and-removed");
    let many = (0..700).map(|number| entry(&format!("d-{number:04}"), &[1; 300], 1)).collect();
    run(&store, writer.push(&commit("many", many, None))).unwrap();
    keep_head("segments");
    for (number, key) in store.keys(&format!("{NAMESPACE}/_segments/")).into_iter().enumerate() {
        let deflated = store.peek(&key).unwrap();
        let mut segment: serde_json::Value =
            serde_json::from_slice(&miniz_oxide::inflate::decompress_to_vec(&deflated).unwrap()).unwrap();
        // A few records say as much as many.
        segment["records"].as_array_mut().unwrap().truncate(5);
        made.push(("segment", format!("segment-{number}"), serde_json::to_vec(&segment).unwrap()));
    }
    made.push(("store", "ticket".to_owned(), [b"\x03", ticket.as_slice()].concat()));
    let keeper = Chain::new(Machine::new(&store, 5));
    for (name, sealing) in [("active", false), ("leased", true)] {
        if sealing {
            run(&store, keeper.acquire_structural(NAMESPACE, 30_000, 0)).unwrap();
        }
        let record = unsealed(&store.peek(&keys::meta(NAMESPACE)).unwrap());
        made.push(("store", format!("namespace-root-{name}"), [b"\x01", record.as_slice()].concat()));
        made.push(("namespace_root", name.to_owned(), record));
    }
    let record = unsealed(&store.peek(keys::STORE_RECORD).unwrap());
    made.push(("store", "store-record".to_owned(), [b"\x02", record.as_slice()].concat()));
    made.push(("store_record", "store-record".to_owned(), record));
    made
}

/// What machines carry from call to call.
fn carried() -> Vec<Made> {
    let store = Store::new(1);
    let chain = Chain::new(Machine::new(&store, 1));
    run(&store, chain.setup(NAMESPACE)).unwrap();
    let entries = vec![entry("a", b"small", 2), entry("reports/b", &[7; 6_000], 2)];
    let receipt = run(&store, chain.push(&commit("commit-1", entries, None))).unwrap();
    let many = (0..1_500).map(|number| entry(&format!("d-{number:04}"), &[1; 9], 1)).collect();
    run(&store, chain.push(&commit("many", many, None))).unwrap();
    let request = PullRequest {
        namespace: NAMESPACE.to_owned(),
        partitions: Some(vec![PARTITION.to_owned()]),
        leases: Vec::new(),
        depth: Depth::Index,
        cursor: None,
    };
    let page = run(&store, chain.pull(&request)).unwrap();
    let lease = acquire(&store, &chain);
    let cached = run(&store, async {
        match chain.world().get(&keys::head(NAMESPACE, PARTITION), None).await.unwrap() {
            Lookup::Found { object, content, .. } => [object.etag.as_bytes(), b"\n", content.0.as_slice()].concat(),
            Lookup::NotModified => unreachable!("nothing was asked against"),
        }
    });
    let seed = |name: &str, kind: u8, rest: &[u8]| ("replica", name.to_owned(), [&[kind], rest].concat());
    vec![
        seed("version", 0, receipt.version.as_bytes()),
        seed("cursor", 1, page.cursor.unwrap().as_bytes()),
        seed("lease-state", 2, &lease.state),
        seed("cached", 3, &cached),
        seed("refused-location-of-another", 4, receipt.entries[1].location.as_bytes()),
        seed("location-inline", 4, receipt.entries[0].location.as_bytes()),
    ]
}

fn components() -> Vec<Made> {
    let text_metadata = include_bytes!("../../../../examples/extensions/text-c/extension.json");
    vec![
        ("metadata", "text".to_owned(), text_metadata.to_vec()),
        ("component", "metadata".to_owned(), text_metadata.to_vec()),
        ("component", "model.wasm".to_owned(), peat_test_guests::sound_model()),
        ("component", "datastore.wasm".to_owned(), peat_test_guests::sound_datastore()),
        ("component", "refused-empty.wasm".to_owned(), peat_test_guests::empty_component()),
        ("component", "refused-core-module.wasm".to_owned(), peat_test_guests::core_module()),
        ("component", "refused-double.wasm".to_owned(), peat_test_guests::model_with_two_metadata_sections()),
    ]
}

/// What runners say: the frames of `docs/runner-protocol.md`, without the parts that the target adds.
fn conversations() -> Vec<Made> {
    let text = |text: &str| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let frame = |kind: u8, number: u8, body: &[u8]| [&[kind, number, body.len() as u8][..], body].concat();
    let (asks, tells, ends) = (6, 7, 9);
    let outcome = [&[1][..], &text("done")].concat();
    let nothing_dropped = [0; 16];
    let done = [&[1][..], &(outcome.len() as u32).to_le_bytes(), &outcome, &nothing_dropped].concat();
    let done = frame(ends, 0, &done);
    let trapped = frame(ends, 0, &[&[0, 0][..], &text("wasm trap: unreachable"), &nothing_dropped].concat());
    let log = frame(tells, 0, &[&[0, 2][..], &text("a line")].concat());
    let settings = frame(asks, 1, &[3]);
    let secret = frame(asks, 2, &[&[4][..], &text("home")].concat());
    let blob = frame(asks, 3, &[&[10][..], &text("bytes of a blob")].concat());
    let size = frame(asks, 4, &[11, 0, 0, 0, 0]);
    let read = frame(asks, 5, &[13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0]);
    let drop_blob = frame(tells, 0, &[15, 0, 0, 0, 0]);
    let seed = |name: &str, how: u8, parts: &[&[u8]]| ("runner", name.to_owned(), [&[how], &*parts.concat()].concat());
    vec![
        seed("done", b'f', &[&done]),
        seed("logs", b'f', &[&log, &log, &done]),
        seed("asks", b'f', &[&settings, &secret, &blob, &size, &read, &drop_blob, &done]),
        seed("refused-trapped", b'f', &[&log, &trapped]),
        seed("refused-goes-early", b'f', &[&settings]),
        seed("refused-unknown-handle", b'f', &[&size]),
        seed("refused-not-ready", b'r', &[&[9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]),
        seed("refused-other-version", b'r', &[&[2, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]]),
        seed("refused-hello-of-nothing", b'h', &[&[1, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0]]),
    ]
}

fn run<T>(store: &Store, future: impl Future<Output = T>) -> T {
    Schedule::block_on(store, future)
}

fn unsealed(record: &[u8]) -> Vec<u8> {
    [b"{", &record[FRAME_BYTES..]].concat()
}

fn acquire(store: &Store, chain: &Chain<Machine>) -> Lease {
    run(store, chain.acquire(&acquisition(0))).unwrap().remove(0)
}

fn acquisition(wait_ms: u64) -> AcquireRequest {
    AcquireRequest {
        namespace: NAMESPACE.to_owned(),
        partitions: vec![PARTITION.to_owned()],
        ttl_ms: 30_000,
        wait_ms,
        holds_others: false,
    }
}

/// The ticket of somebody who waits.
fn ticket(store: &Store) -> Vec<u8> {
    use peat_chain::ports::Clock as _;
    let seen = std::cell::RefCell::new(Vec::new());
    let (waiter, watcher) = (Chain::new(Machine::new(store, 2)), Machine::new(store, 3));
    let mut schedule = Schedule::new(store);
    schedule.add(async move {
        waiter.acquire(&acquisition(3_000)).await.unwrap_err();
    });
    schedule.add(async {
        while seen.borrow().is_empty() {
            watcher.sleep(20).await;
            let key = store.keys(&keys::queue_prefix(NAMESPACE, PARTITION)).into_iter().next();
            *seen.borrow_mut() = key.and_then(|key| store.peek(&key)).map(|bytes| unsealed(&bytes)).unwrap_or_default();
        }
    });
    schedule.run();
    seen.into_inner()
}

fn entry(name: &str, content: &[u8], version_cap: u32) -> NewEntry<Bytes> {
    NewEntry {
        description: Description {
            name: name.to_owned(),
            size: content.len() as u64,
            digest: Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect(),
            content_type: "text/plain".to_owned(),
            lifetime: if version_cap > 1 { Lifetime::DurationMs(60_000) } else { Lifetime::Infinite },
            tags: vec![Tag { name: "of".to_owned(), value: "a seed".to_owned() }],
            created_at_ms: 1_800_000_000_000,
            run_id: "01hzzzzz-abcd".to_owned(),
            of_failed_run: name.starts_with("reports"),
        },
        content: Bytes(content.to_vec().into()),
        version_cap: Some(version_cap),
        version: None,
    }
}

fn commit(id: &str, append: Vec<NewEntry<Bytes>>, lease: Option<Lease>) -> PushRequest<Bytes> {
    PushRequest {
        namespace: NAMESPACE.to_owned(),
        partition: PARTITION.to_owned(),
        release: lease.is_some(),
        lease,
        commit_id: id.to_owned(),
        may_be_repeated: false,
        append,
        remove: Vec::new(),
    }
}
