//! What a machine carries from call to call for the protocol, and may bring back damaged: versions, cursors, the state of
//! leases, what was cached, locations of content.

use peat_chain::memory::{Machine, Schedule};
use peat_chain::ports::{Lookup, ObjectStore as _, Replica as _};
use peat_chain::types::{Depth, PullRequest, Wanted};
use peat_chain::{Chain, ErrorKind, keys};

use crate::protocol::{acquisition, commit, furnished};
use crate::records::{NAMESPACE, PARTITION, digest};

/// The first byte says what is damaged, the rest is what is there instead. Accepted is what was believed.
pub(crate) fn replica(input: &[u8]) -> bool {
    let Some((which, rest)) = input.split_first() else { return false };
    match which % 5 {
        0 => text(rest, version),
        1 => text(rest, cursor),
        2 => lease_state(rest),
        3 => cached(rest),
        _ => text(rest, location),
    }
}

fn text(bytes: &[u8], read: fn(&str) -> bool) -> bool {
    std::str::from_utf8(bytes).is_ok_and(read)
}

fn request(cursor: Option<String>) -> PullRequest {
    let partitions = Some(vec![PARTITION.to_owned()]);
    PullRequest { namespace: NAMESPACE.to_owned(), partitions, leases: Vec::new(), depth: Depth::Index, cursor }
}

/// What is not understood is known as nothing: the pull begins anew and never fails.
fn version(text: &str) -> bool {
    let store = furnished();
    let chain = Chain::new(Machine::new(&store, 7));
    chain.world().set_known(PARTITION, text);
    let page = Schedule::block_on(&store, chain.pull(&request(None))).expect("any version may be there");
    page.deltas.is_empty()
}

fn cursor(text: &str) -> bool {
    let store = furnished();
    let chain = Chain::new(Machine::new(&store, 7));
    Schedule::block_on(&store, chain.pull(&request(Some(text.to_owned())))).is_ok()
}

/// A state that is not of the head as it stands commits nothing, whatever it says.
fn lease_state(state: &[u8]) -> bool {
    let store = furnished();
    let chain = Chain::new(Machine::new(&store, 7));
    let head = keys::head(NAMESPACE, PARTITION);
    Schedule::block_on(&store, async {
        let mut lease = chain.acquire(&acquisition()).await.expect("nobody else wants it").remove(0);
        chain.break_lease(NAMESPACE, PARTITION, &lease.nonce).await.expect("it is there");
        let before = store.peek(&head);
        lease.state = state.to_vec();
        let pushed = chain.push(&commit(Some(lease))).await;
        if !state.starts_with(format!("{}\n", etag_of(&chain, &head).await).as_bytes()) {
            assert!(pushed.is_err() && store.peek(&head) == before, "a lease that was broken committed");
        }
        pushed.is_err_and(|error| error.kind == ErrorKind::LeaseLost)
    })
}

async fn etag_of(chain: &Chain<Machine>, key: &str) -> String {
    match chain.world().get(key, None).await {
        Ok(Lookup::Found { object, .. }) => object.etag,
        other => panic!("{key} is there: {other:?}"),
    }
}

/// The last head that this machine saw, and whom it saw waiting.
fn cached(content: &[u8]) -> bool {
    let store = furnished();
    let chain = Chain::new(Machine::new(&store, 7));
    let head = keys::head(NAMESPACE, PARTITION);
    Schedule::block_on(&store, async {
        for key in [format!("root/{head}"), format!("queue/{head}")] {
            chain.world().cache(&key, content).await.expect("this cache takes everything");
        }
        let leases = chain.acquire(&acquisition()).await;
        let Some(lease) = leases.ok().and_then(|leases| leases.into_iter().next()) else { return false };
        chain.push(&commit(Some(lease))).await.is_ok()
    })
}

fn location(text: &str) -> bool {
    let store = furnished();
    let chain = Chain::new(Machine::new(&store, 7));
    let wanted = Wanted {
        partition: PARTITION.to_owned(),
        name: "reports/b".to_owned(),
        version: 1,
        size: 6_000,
        digest: digest(&[7; 6_000]),
        location: text.to_owned(),
    };
    let fetched = Schedule::block_on(&store, chain.fetch(NAMESPACE, &[wanted]));
    fetched.is_ok_and(|contents| contents.into_iter().all(|content| content.is_ok()))
}
