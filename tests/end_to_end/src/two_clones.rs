//! The main scenario, over any datastore: two clones of one repository on two machines share what they write.

use crate::{Checkout, Machine};

/// Large enough to be an object of its own in every datastore.
const LARGE: usize = 3_000_000;

/// Runs it. `share` chooses the datastore in the first checkout, before it is cloned.
#[track_caller]
pub fn two_clones_share_what_they_write(machine: &dyn Fn() -> Machine, share: &dyn Fn(&Checkout)) {
    let first = machine().repository("checkout");
    first.shell_model("greeting", &format!("echo hello from the first; head -c {LARGE} /dev/zero | tr '\\0' x"));
    first.shell_model("answer", "echo and from the second");
    share(&first);
    let second = machine().clone_of(&first, "checkout");

    first.peat(&["model", "method", "run", "greeting", "execute"]).ok();
    // The first use of a model brings it without a sync.
    second.peat(&["data", "get", "greeting", "stdout"]).ok();
    second.peat(&["datastore", "sync"]).ok();
    let here = content(&first, "greeting");
    assert!(here.len() > LARGE, "{} bytes", here.len());
    assert_eq!(content(&second, "greeting"), here);

    second.peat(&["model", "method", "run", "answer", "execute"]).ok();
    second.peat(&["model", "method", "run", "greeting", "execute"]).ok();
    first.peat(&["datastore", "sync"]).ok();
    assert_eq!(content(&first, "answer"), "and from the second\n");
    let versions = first.peat(&["data", "versions", "greeting", "stdout", "--json"]).ok().json();
    assert_eq!(versions["versions"].as_array().map(Vec::len), Some(2), "{versions:#}");
    assert!(first.peat(&["datastore", "sync"]).ok().stdout.contains("nothing"), "a second sync still found work");
}

fn content(checkout: &Checkout, model: &str) -> String {
    checkout.peat(&["data", "get", model, "stdout", "--output", "-"]).ok().stdout
}
