//! What it costs to see who holds and who waits for what.

use peat_chain::Chain;
use peat_chain::memory::Machine;
use peat_chain::types::{AcquireRequest, LeaseStatus};

use crate::support::*;

/// Partitions of the namespace: more than one page of a listing.
const PARTITIONS: usize = 1_100;

/// Pages of a listing of all of them.
const PAGES: usize = PARTITIONS.div_ceil(1_000);

fn partition(number: usize) -> String {
    format!("model--x--{number:06}")
}

async fn look(chain: &Chain<Machine>) -> Vec<LeaseStatus> {
    let (mut leases, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = chain.inspect(NAMESPACE, cursor.as_deref()).await.unwrap();
        leases.extend(page.leases);
        if page.cursor.is_none() {
            return leases;
        }
        cursor = page.cursor;
    }
}

#[test]
fn who_holds_what_costs_a_listing_a_thousand_partitions_and_a_read_for_each_that_is_held() {
    let store = store(17);
    let operator = machine(&store, 1);
    run(&store, async {
        for number in 0..PARTITIONS {
            let mut request = push_request(&format!("c{number}"), vec![new_entry("a", b"1", "run-1")], None);
            request.partition = partition(number);
            operator.push(&request).await.unwrap();
        }
        for (pid, number) in [(2, 7), (3, 600), (4, 601)] {
            let request = AcquireRequest { partitions: vec![partition(number)], ..acquire_request(0) };
            machine(&store, pid).acquire(&request).await.unwrap();
        }
        // What others have changed is read once.
        store.take_requests();
        let leases = look(&operator).await;
        let requests = store.take_requests();
        let held: Vec<&str> = leases.iter().map(|lease| lease.partition.as_str()).collect();
        assert_eq!(held, [partition(7), partition(600), partition(601)]);
        let count = |part: &str| requests.iter().filter(|request| request.contains(part)).count();
        assert_eq!(count("LIST default/_index/"), PAGES, "{requests:#?}");
        assert_eq!(count("GET default/_index/model--"), 3, "{requests:#?}");
        assert_eq!(count("LIST default/_queue/"), 1, "{requests:#?}");
        // The root of the namespace may be held, too.
        assert!(requests.len() <= PAGES + 3 + 2, "{requests:#?}");
        // And nobody is read again who has not changed.
        look(&operator).await;
        assert_eq!(store.take_requests().len(), PAGES + 1);
    });
}

#[test]
fn nothing_held_is_nothing_but_the_listing() {
    let store = store(18);
    let operator = machine(&store, 1);
    run(&store, async {
        write(&operator, "c1", "a", b"1").await.unwrap();
        assert_eq!(look(&operator).await, []);
        store.take_requests();
        assert_eq!(look(&operator).await, []);
        assert_eq!(store.take_requests(), ["LIST default/_index/"]);
    });
}
