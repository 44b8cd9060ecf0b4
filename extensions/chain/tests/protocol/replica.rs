//! News for the replica: complete, incremental, paged, and cheap.

use std::collections::BTreeMap;

use peat_chain::memory::{Bytes, Machine, Schedule, Store};
use peat_chain::types::{DeltaMode, Depth, PulledEntry, PushRequest, VersionReference, Wanted};
use peat_chain::{Chain, ErrorKind};

use crate::support::*;

/// A replica as a host would keep it.
#[derive(Default)]
struct Replica {
    entries: BTreeMap<(String, u64), PulledEntry<Bytes>>,
}

impl Replica {
    /// Pulls all pages and answers how many deltas came.
    async fn pull(&mut self, chain: &Chain<Machine>, with_content: bool) -> usize {
        let mut cursor = None;
        let mut deltas = 0;
        loop {
            let mut request = pull_request(cursor);
            request.depth = if with_content { Depth::Content } else { Depth::Index };
            let page = chain.pull(&request).await.unwrap();
            for delta in page.deltas {
                deltas += 1;
                if delta.mode == DeltaMode::Replace {
                    self.entries.clear();
                }
                for pulled in delta.entries {
                    self.entries.insert((pulled.entry.description.name.clone(), pulled.entry.version), pulled);
                }
                for gone in delta.removed {
                    self.entries.remove(&(gone.name, gone.version));
                }
                if !delta.continues {
                    chain.world().set_known(&delta.partition, &delta.version);
                }
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return deltas;
            }
        }
    }

    fn keys(&self) -> Vec<(&str, u64)> {
        self.entries.keys().map(|(name, version)| (name.as_str(), *version)).collect()
    }
}

async fn write_many(chain: &Chain<Machine>, commit: &str, names: impl Iterator<Item = String>) {
    let append: Vec<_> = names.map(|name| new_entry(&name, name.as_bytes(), commit)).collect();
    chain.push(&push_request(commit, append, None)).await.unwrap();
}

#[test]
fn a_replica_is_extended_by_what_is_new_and_told_what_left() {
    let store = store(1);
    let (writer, reader) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let mut replica = Replica::default();
        write(&writer, "c1", "a", b"one").await.unwrap();
        write(&writer, "c2", "b", b"two").await.unwrap();
        assert_eq!(replica.pull(&reader, false).await, 1);
        assert_eq!(replica.keys(), [("a", 1), ("b", 1)]);

        let mut request = push_request("c3", vec![new_entry("a", b"three", "c3")], None);
        request.remove = vec![VersionReference { name: "b".to_owned(), version: 1 }];
        writer.push(&request).await.unwrap();
        let page = pull(&reader).await.unwrap();
        assert_eq!(page.deltas[0].mode, DeltaMode::Extend);
        assert_eq!(page.deltas[0].entries.len(), 1);
        assert_eq!(page.deltas[0].entries[0].content.as_ref().unwrap().0.as_slice(), b"three");
        replica.pull(&reader, false).await;
        assert_eq!(replica.keys(), [("a", 1), ("a", 2)]);
    });
}

#[test]
fn nothing_changed_costs_one_listing_and_a_scoped_pull_one_conditional_read() {
    let store = store(2);
    let reader = machine(&store, 2);
    run(&store, async {
        write(&machine(&store, 1), "c1", "a", b"one").await.unwrap();
        Replica::default().pull(&reader, false).await;
        store.take_requests();
        assert!(pull(&reader).await.unwrap().deltas.is_empty());
        assert_eq!(store.take_requests(), ["LIST default/_index/"]);
        let mut scoped = pull_request(None);
        scoped.partitions = Some(vec![PARTITION.to_owned()]);
        assert!(reader.pull(&scoped).await.unwrap().deltas.is_empty());
        assert_eq!(store.take_requests(), [format!("GET {HEAD}")]);
    });
}

#[test]
fn a_lease_brings_the_news_without_any_request() {
    let store = store(3);
    let reader = machine(&store, 2);
    run(&store, async {
        write(&machine(&store, 1), "c1", "a", b"one").await.unwrap();
        let lease = acquire(&reader, 0).await.unwrap();
        store.take_requests();
        let mut scoped = pull_request(None);
        scoped.partitions = Some(vec![PARTITION.to_owned()]);
        scoped.leases = vec![lease];
        let page = reader.pull(&scoped).await.unwrap();
        assert_eq!(page.deltas[0].entries.len(), 1);
        assert!(store.take_requests().is_empty());
    });
}

#[test]
fn a_partition_of_many_thousand_entries_keeps_its_head_small_and_is_told_whole() {
    let store = store(4);
    let writer = machine(&store, 1);
    run(&store, async {
        let mut expected = Vec::new();
        for commit in 0..60 {
            let names: Vec<String> =
                (0..200).map(|index| format!("data-{:05}", (index * 60 + commit) * 7 % 12_007)).collect();
            write_many(&writer, &format!("commit-{commit}"), names.iter().cloned()).await;
            expected.extend(names);
            assert!(store.peek(HEAD).unwrap().len() <= 64 * 1024);
        }
        // Single small commits on top of a large index.
        for commit in 0..100 {
            write_many(&writer, &format!("small-{commit}"), std::iter::once(format!("small-{commit}"))).await;
            expected.push(format!("small-{commit}"));
            assert!(store.peek(HEAD).unwrap().len() <= 64 * 1024);
        }
        expected.sort();
        let reader = machine(&store, 2);
        let mut replica = Replica::default();
        assert!(replica.pull(&reader, true).await > 10, "it comes in pages");
        let told: Vec<&str> = replica.keys().iter().map(|(name, _)| *name).collect();
        assert_eq!(told, expected);
        for pulled in replica.entries.values() {
            let content = pulled.content.as_ref().unwrap();
            assert_eq!(content.0.as_slice(), pulled.entry.description.name.as_bytes());
        }
        // An extension of a large partition reads only what is new.
        write_many(&writer, "last", std::iter::once("last".to_owned())).await;
        store.take_requests();
        assert_eq!(replica.pull(&reader, false).await, 1);
        assert!(store.take_requests().len() <= 3);
        assert_eq!(replica.entries.len(), expected.len() + 1);
    });
}

#[test]
fn what_a_page_takes_of_many_partitions_is_read_at_once() {
    const PARTITIONS: usize = 8;
    const ROUND_TRIP_MS: u64 = 1_000;
    let store = store(5);
    let (writer, reader, counted) = (machine(&store, 1), machine(&store, 2), store.clone());
    let mut schedule = Schedule::exact(&store);
    schedule.add(async move {
        let partitions: Vec<String> = (0..PARTITIONS).map(|number| format!("{PARTITION}-{number}")).collect();
        for partition in &partitions {
            // More records than a head holds, fewer than a page: one segment each.
            let entry = |index| new_entry(&format!("data-{index:0100}"), &[7; 5_000], "c1");
            let append = (0..120).map(entry).collect();
            let request = PushRequest { partition: partition.clone(), ..push_request("c1", append, None) };
            writer.push(&request).await.unwrap();
        }
        counted.take_requests();
        counted.set_latency_ms(ROUND_TRIP_MS);
        let mut scoped = pull_request(None);
        scoped.partitions = Some(partitions);
        let began_ms = counted.now_ms();
        let page = reader.pull(&scoped).await.unwrap();
        let requests = counted.take_requests();
        assert_eq!(page.deltas.iter().map(|delta| delta.entries.len()).sum::<usize>(), PARTITIONS * 120);
        assert_eq!(requests.iter().filter(|request| request.contains("/_segments/")).count(), PARTITIONS);
        // One after the other, the segments alone would take as many round trips as there are partitions.
        let round_trips = (counted.now_ms() - began_ms).div_ceil(ROUND_TRIP_MS);
        assert!(round_trips < PARTITIONS as u64, "{round_trips} round trips: {requests:#?}");
    });
    schedule.run();
}

#[test]
fn a_commit_of_many_small_entries_is_one_pack() {
    let store = store(6);
    run(&store, async {
        // More than may be inlined in one commit, and more records than stay in the head.
        let append = (0..1_000).map(|index| new_entry(&format!("data-{index:04}"), &[7; 600], "c1")).collect();
        machine(&store, 1).push(&push_request("c1", append, None)).await.unwrap();
        assert_eq!(store.keys("default/_packs/").len(), 1, "what leaves the head at once is not inlined first");
    });
}

/// Entries of the partition in the figures of docs/shared-store.md.
const LARGE_PARTITION: u64 = 100_000;

/// Writes of which the figures are taken.
const WRITES: u32 = 40;

/// Most bytes of objects that a write of 1 KiB may send or receive, however large the partition is.
const WRITE_BYTES_MAX: u64 = 128 * 1024;

#[test]
fn a_write_into_a_partition_of_100_000_entries_costs_what_it_costs_in_a_small_one() {
    let store = store(5);
    let filler = machine(&store, 1);
    run(&store, async {
        for commit in 0..LARGE_PARTITION / 5_000 {
            let names = (0..5_000).map(|index| format!("data-{:06}", index * (LARGE_PARTITION / 5_000) + commit));
            write_many(&filler, &format!("fill-{commit}"), names).await;
        }
        assert!(store.peek(HEAD).unwrap().len() <= 64 * 1024);
        // Busy: the remembered commits are all of others, and a fresh id is not among them.
        for commit in 0..70 {
            write(&filler, &format!("busy-{commit}"), &format!("busy-{commit}"), b"1").await.unwrap();
        }

        // A machine that has the index, and on it a new process for each write; others have written before each.
        let replica = machine(&store, 2);
        Replica::default().pull(&replica, false).await;
        let (mut most, mut tidied) = (0, 0);
        for round in 0..WRITES {
            write(&filler, &format!("other-{round}"), &format!("other-{round}"), &[3; 1024]).await.unwrap();
            let process = Chain::new(replica.world().sibling(100 + round));
            store.take_requests();
            store.take_traffic();
            write(&process, &format!("mine-{round}"), "data-050000", &[7; 1024]).await.unwrap();
            let (requests, traffic) = (store.take_requests(), store.take_traffic());
            let spills = requests.iter().any(|request| request.starts_with("PUT default/_segments/"));
            assert!(store.peek(HEAD).unwrap().len() <= 64 * 1024);
            // Now and then a commit also tidies up: the full head moves into segments.
            if spills {
                tidied += 1;
                continue;
            }
            assert!(traffic.up <= WRITE_BYTES_MAX && traffic.down <= WRITE_BYTES_MAX, "{traffic:?} {requests:#?}");
            assert!(requests.len() <= 6, "round {round}: {requests:#?}");
            most = most.max(requests.len());
        }
        println!("at most {most} requests; {tidied} of {WRITES} commits tidied up as well");
        assert!(tidied * 5 <= WRITES, "{tidied} of {WRITES} commits tidied up");

        // A machine that has nothing: the store's record, and two segments to know the newest version.
        store.take_requests();
        store.take_traffic();
        write(&machine(&store, 3), "fresh", "data-050000", &[7; 1024]).await.unwrap();
        let (requests, traffic) = (store.take_requests(), store.take_traffic());
        assert!(requests.len() <= 8, "{requests:#?}");
        assert!(traffic.up <= WRITE_BYTES_MAX && traffic.down <= WRITE_BYTES_MAX, "{traffic:?} {requests:#?}");
    });
}

#[test]
fn a_commit_that_may_be_repeated_is_searched_for_and_a_fresh_one_is_not() {
    let store = store(16);
    let (one, two) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let names = (0..3_000).map(|index| format!("data-{index:06}"));
        write_many(&one, "fill", names).await;
        let first = one.push(&push_request("mine", vec![new_entry("data-000100", b"x", "mine")], None)).await.unwrap();
        for commit in 0..80 {
            write(&one, &format!("busy-{commit}"), &format!("busy-{commit}"), b"1").await.unwrap();
        }
        // The list has forgotten it: said to be repeated, it is found by what it wrote, on another machine too.
        let again = PushRequest {
            may_be_repeated: true,
            ..push_request("mine", vec![new_entry("data-000100", b"x", "mine")], None)
        };
        assert_eq!(two.push(&again).await.unwrap().entries, first.entries);
    });
}

#[test]
fn removals_and_caps_reach_replicas_also_after_the_index_was_merged() {
    let store = store(6);
    let writer = machine(&store, 1);
    run(&store, async {
        let reader = machine(&store, 2);
        let mut replica = Replica::default();
        for round in 0..120_u64 {
            let mut entry = new_entry("capped", format!("round {round}").as_bytes(), "run-1");
            entry.version_cap = Some(3);
            let mut append = vec![entry];
            append.extend((0..20).map(|index| new_entry(&format!("fill-{round}-{index}"), &[1; 600], "run-1")));
            let receipt = writer.push(&push_request(&format!("c{round}"), append, None)).await.unwrap();
            assert_eq!(receipt.entries[0].version, round + 1);
            if round % 17 == 0 {
                replica.pull(&reader, false).await;
                let capped: Vec<u64> =
                    replica.keys().iter().filter(|(name, _)| *name == "capped").map(|(_, version)| *version).collect();
                let expected: Vec<u64> = (round.saturating_sub(2) + 1..=round + 1).collect();
                assert_eq!(capped, expected);
            }
        }
    });
}

#[test]
fn version_numbers_never_start_again_after_all_versions_were_removed() {
    let store = store(7);
    let writer = machine(&store, 1);
    run(&store, async {
        for round in 1..=5 {
            let receipt = write(&writer, &format!("c{round}"), "a", b"x").await.unwrap();
            assert_eq!(receipt.entries[0].version, round);
            let mut request = push_request(&format!("r{round}"), Vec::new(), None);
            request.remove = vec![VersionReference { name: "a".to_owned(), version: round }];
            assert_eq!(writer.push(&request).await.unwrap().removed.len(), 1);
            // Enough to push the mark through buffer and segments.
            write_many(&writer, &format!("fill{round}"), (0..700).map(|index| format!("fill-{round}-{index}"))).await;
        }
    });
}

#[test]
fn content_of_every_size_is_fetched_and_neighbours_in_a_pack_are_one_request() {
    let store = store(8);
    let (writer, reader) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let contents: Vec<Vec<u8>> =
            vec![vec![], vec![1; 100], vec![2; 5_000], vec![3; 6_000], vec![4; 1024 * 1024 + 1], vec![5; 7_000]];
        let append = contents.iter().enumerate();
        let append = append.map(|(index, content)| new_entry(&format!("n{index}"), content, "run-1")).collect();
        writer.push(&push_request("c1", append, None)).await.unwrap();
        let requests = store.take_requests();
        assert_eq!(requests.iter().filter(|request| request.starts_with("PUT default/_packs")).count(), 1);
        assert_eq!(requests.iter().filter(|request| request.starts_with("PUT default/_objects")).count(), 1);

        let page = pull(&reader).await.unwrap();
        let wanted: Vec<Wanted> = page.deltas[0]
            .entries
            .iter()
            .map(|pulled| Wanted {
                partition: PARTITION.to_owned(),
                name: pulled.entry.description.name.clone(),
                version: pulled.entry.version,
                size: pulled.entry.description.size,
                digest: pulled.entry.description.digest.clone(),
                location: pulled.entry.location.clone(),
            })
            .collect();
        store.take_requests();
        let fetched = reader.fetch(NAMESPACE, &wanted).await.unwrap();
        for (content, blob) in contents.iter().zip(&fetched) {
            assert_eq!(blob.as_ref().unwrap().0.as_slice(), content.as_slice());
        }
        // One for the pack, one for the large object, one for the head that holds what is inlined.
        assert_eq!(store.take_requests().len(), 3);
        store.take_requests();
        reader.fetch(NAMESPACE, &wanted[2..3]).await.unwrap();
        assert_eq!(store.take_requests().len(), 1, "hydrating one content is one request");

        for key in store.keys("default/_packs/") {
            store.lose(&key);
        }
        let gone = reader.fetch(NAMESPACE, &wanted).await.unwrap();
        assert_eq!(gone[2].as_ref().unwrap_err().kind, ErrorKind::NotFound);
        assert!(gone[4].is_ok());
    });
}

#[test]
fn a_receipt_advances_the_replica_only_when_it_knew_everything_before() {
    let store = store(9);
    let (one, two) = (machine(&store, 1), machine(&store, 2));
    run(&store, async {
        let first = write(&one, "c1", "a", b"1").await.unwrap();
        one.world().set_known(PARTITION, &first.version);
        assert!(pull(&one).await.unwrap().deltas.is_empty(), "its own commit is no news");
        // The second machine never pulled: its receipt must not hide the first one's entry from it.
        let second = write(&two, "c2", "b", b"2").await.unwrap();
        two.world().set_known(PARTITION, &second.version);
        let page = pull(&two).await.unwrap();
        assert!(page.deltas[0].entries.iter().any(|pulled| pulled.entry.description.name == "a"));
    });
}

#[test]
fn a_damaged_head_or_segment_is_named_with_a_remedy_and_a_newer_format_is_not_touched() {
    let store = store(10);
    let writer = machine(&store, 1);
    run(&store, async {
        write_many(&writer, "c1", (0..2_000).map(|index| format!("d-{index}"))).await;
        let good = store.peek(HEAD).unwrap();
        let newer = sealed(&unsealed(&good).replacen("\"format\":1", "\"format\":2", 1));
        let cases: [(&[u8], ErrorKind); 5] = [
            (b"", ErrorKind::Corrupt),
            (b"{\"format\":1}", ErrorKind::Corrupt),
            (&good[..good.len() / 2], ErrorKind::Corrupt),
            (&vec![b' '; 65 * 1024], ErrorKind::Corrupt),
            (&newer, ErrorKind::Unsupported),
        ];
        for (bytes, kind) in cases {
            store.tamper(HEAD, bytes);
            for error in [
                pull(&machine(&store, 3)).await.unwrap_err(),
                write(&machine(&store, 3), "c2", "a", b"1").await.unwrap_err(),
            ] {
                assert_eq!(error.kind, kind, "{error}");
                assert!(error.message.contains(HEAD), "{error}");
            }
            assert_eq!(store.peek(HEAD).unwrap(), bytes, "nothing was written over it");
        }
        store.tamper(HEAD, &good);
        let segment = store.keys("default/_segments/").remove(0);
        store.tamper(&segment, b"damaged");
        let mut error = None;
        for segment in store.keys("default/_segments/") {
            store.tamper(&segment, b"damaged");
        }
        let mut cursor = None;
        while error.is_none() {
            match machine(&store, 3).pull(&pull_request(cursor.take())).await {
                Ok(page) => cursor = Some(page.cursor.expect("a damaged segment is met before the end")),
                Err(found) => error = Some(found),
            }
        }
        let error = error.unwrap();
        assert_eq!(error.kind, ErrorKind::Corrupt);
        assert!(error.message.contains("default/_segments/"), "{error}");
    });
}

#[test]
fn arguments_that_could_escape_are_refused_before_any_request() {
    let store: Store = store(11);
    let chain = machine(&store, 1);
    run(&store, async {
        for name in ["../x", "/etc/passwd", "a\0b", "", &"a".repeat(4096)] {
            let error = chain.push(&push_request("c1", vec![new_entry(name, b"1", "run-1")], None)).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidInput);
            assert!(error.message.len() < 600);
        }
        let request = PushRequest { partition: "../x".to_owned(), ..push_request("c1", Vec::new(), None) };
        assert_eq!(chain.push(&request).await.unwrap_err().kind, ErrorKind::InvalidInput);
        let request = PushRequest { namespace: "_probe".to_owned(), ..push_request("c1", Vec::new(), None) };
        assert_eq!(chain.push(&request).await.unwrap_err().kind, ErrorKind::InvalidInput);
        assert!(store.take_requests().is_empty());
    });
}

#[test]
fn entries_with_all_the_tags_the_contract_allows_are_kept_and_told_in_bounded_pages() {
    use peat_chain::types::Tag;
    let store = store(12);
    let writer = machine(&store, 1);
    run(&store, async {
        for commit in 0..4 {
            let append = (0..150).map(|index| {
                let mut new = new_entry(&format!("d-{commit}-{index}"), b"1", "run-1");
                // Control characters take six bytes each in JSON.
                let text = "\u{1}".repeat(256);
                new.description.tags = (0..32).map(|_| Tag { name: text.clone(), value: text.clone() }).collect();
                new
            });
            writer.push(&push_request(&format!("c{commit}"), append.collect(), None)).await.unwrap();
            assert!(store.peek(HEAD).unwrap().len() <= 64 * 1024);
        }
        let reader = machine(&store, 2);
        let (mut cursor, mut told, mut pages) = (None, 0, 0);
        loop {
            let page = reader.pull(&pull_request(cursor)).await.unwrap();
            let entries = page.deltas.iter().flat_map(|delta| &delta.entries).count();
            assert!(entries <= 260, "a page of {entries} entries has more than 4 MiB of tags");
            told += entries;
            pages += 1;
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((told, pages), (600, 3));
    });
}

#[test]
fn version_numbers_of_many_removed_names_do_not_start_again_when_their_marks_are_dropped() {
    let store = store(13);
    let writer = machine(&store, 1);
    run(&store, async {
        let reader = machine(&store, 2);
        let mut replica = Replica::default();
        let names: Vec<String> = (0..1_500).map(|index| format!("gone-{index:04}")).collect();
        // Empty content lies nowhere: nothing keeps the marks but the version numbers.
        let append = names.iter().map(|name| new_entry(name, b"", "run-1")).collect();
        writer.push(&push_request("first", append, None)).await.unwrap();
        replica.pull(&reader, false).await;
        let mut request = push_request("remove", Vec::new(), None);
        request.remove = names.iter().map(|name| VersionReference { name: name.clone(), version: 1 }).collect();
        assert_eq!(writer.push(&request).await.unwrap().removed.len(), names.len());
        write_many(&writer, "fill", (0..1_500).map(|index| format!("fill-{index:04}"))).await;
        for (round, name) in names.iter().step_by(300).enumerate() {
            let receipt = write(&writer, &format!("again-{round}"), name, b"2").await.unwrap();
            assert!(receipt.entries[0].version >= 2, "{name} got version {} again", receipt.entries[0].version);
        }
        replica.pull(&reader, false).await;
        assert_eq!(replica.entries.len(), 1_500 + 5);
    });
}

#[test]
fn a_replica_that_slept_while_marks_were_dropped_is_replaced() {
    let store = store(14);
    let writer = machine(&store, 1);
    run(&store, async {
        let (sleeper, mut replica) = (machine(&store, 2), Replica::default());
        for round in 0..40 {
            let mut small = new_entry("capped", format!("{round}").as_bytes(), "run-1");
            small.version_cap = Some(1);
            writer.push(&push_request(&format!("c{round}"), vec![small], None)).await.unwrap();
            if round == 5 {
                replica.pull(&sleeper, false).await;
            }
            write_many(&writer, &format!("fill-{round}"), (0..150).map(|index| format!("fill-{round}-{index}"))).await;
        }
        replica.pull(&sleeper, false).await;
        let capped: Vec<u64> =
            replica.keys().iter().filter(|(name, _)| *name == "capped").map(|(_, version)| *version).collect();
        assert_eq!(capped, [40]);
        assert_eq!(replica.entries.len(), 1 + 40 * 150);
    });
}
