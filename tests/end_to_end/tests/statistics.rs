//! What commands cost, and who held what: `peat stats`, `peat datastore lock history` and `lock status --watch`.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use peat_end_to_end_tests::{Checkout, Outcome, Scratch, TestBucket};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const RUN: [&str; 5] = ["model", "method", "run", "m", "execute"];

fn stats(checkout: &Checkout) -> Vec<Value> {
    checkout.peat(&["stats", "--json"]).ok().json()["commands"].as_array().unwrap().clone()
}

#[test]
fn the_requests_of_a_command_are_those_that_the_store_has_seen() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::on_loopback());
    let checkout = bucket.machine(&scratch).repository("checkout");
    checkout.shell_model("m", "head -c 2000000 /dev/zero");
    bucket.share(&checkout, &[]);
    for command in [&RUN[..], &RUN[..], &["datastore", "sync"], &["datastore", "lock", "status"]] {
        bucket.server().clear_log();
        checkout.peat(command).ok();
        let seen = bucket.server().log().len();
        let newest = stats(&checkout).swap_remove(0);
        assert_eq!(newest["command"], command.join(" "), "{newest:#}");
        assert_eq!(newest["requests"]["total"], seen, "{newest:#}");
        assert_eq!((&newest["exitCode"], &newest["datastore"]), (&0.into(), &"@peat/s3".into()));
    }
    let run = stats(&checkout).swap_remove(2);
    // The second one finds the partition of the audit: three for the lease, two for the audit.
    let lock = ["datastore", "lock", "run", "--model", "m", "--", "true"];
    checkout.peat(&lock).ok();
    checkout.peat(&lock).ok();
    let locked = stats(&checkout).swap_remove(0);
    assert!(locked["requests"]["total"].as_u64().unwrap() <= 5, "{locked:#}");
    assert!(run["bytesSent"].as_u64().unwrap() >= 2_000_000, "{run:#}");
    assert_eq!(run["holds"][0]["ending"], "committed", "{run:#}");
    assert_eq!(run["compiled"]["hits"].as_u64().unwrap() + run["compiled"]["misses"].as_u64().unwrap(), 1, "{run:#}");
    let totals = checkout.peat(&["stats", "--json"]).ok().json()["totals"].take();
    assert_eq!((&totals["heldMs"]["count"], &totals["failed"]), (&4.into(), &0.into()), "{totals:#}");
    // Another machine brings what this one wrote; both runs wrote the same bytes, which come once.
    let second = bucket.machine(&scratch).clone_of(&checkout, "checkout");
    second.peat(&["datastore", "sync"]).ok();
    let brought = stats(&second).swap_remove(0);
    assert!(brought["contentBytesBrought"].as_u64().unwrap() >= 2_000_000, "{brought:#}");
    assert!(brought["bytesReceived"].as_u64().unwrap() >= 2_000_000, "{brought:#}");
    let page = second.peat(&["stats"]).ok();
    page.shows(&["COMMAND", "datastore sync", "content brought", "replica"]);
}

#[test]
fn what_reads_only_what_is_here_is_not_counted_and_neither_is_what_stats_asks() {
    let scratch = Scratch::new();
    let checkout = scratch.machine().repository("checkout");
    checkout.shell_model("m", "exit 1");
    checkout.peat(&RUN).ended_with(1);
    for listing in [&["data", "list"][..], &["run", "list"], &["datastore", "status"], &["audit", "list"], &["stats"]] {
        checkout.peat(listing).ok();
    }
    let all = stats(&checkout);
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!((&all[0]["datastore"], &all[0]["exitCode"]), (&"local".into(), &1.into()));
    assert_eq!((&all[0]["requests"]["total"], &all[0]["holds"][0]["ending"]), (&0.into(), &"committed".into()));
    assert_eq!(checkout.peat(&["stats", "--since", "0s", "--json"]).ok().json()["commands"], serde_json::json!([]));
    assert_eq!(checkout.peat(&["stats", "--last", "0", "--json"]).ok().json()["commands"], serde_json::json!([]));
}

/// Partition, process and ending of each hold.
fn holds(checkout: &Checkout, arguments: &[&str]) -> Vec<(String, u64)> {
    let words: Vec<&str> = ["datastore", "lock", "history", "--json"].iter().chain(arguments).copied().collect();
    let history = checkout.peat(&words).ok().json();
    let hold = |hold: &Value| {
        assert!(hold["waitedMs"].is_u64() && hold["heldMs"].is_u64() && hold["host"].is_string(), "{hold:#}");
        assert_eq!(
            hold["ending"],
            if hold["partition"] == "structural" { "given-up" } else { "committed" },
            "{hold:#}"
        );
        (hold["partition"].as_str().unwrap().to_owned(), hold["pid"].as_u64().unwrap())
    };
    history["holds"].as_array().unwrap().iter().map(hold).collect()
}

#[test]
fn the_history_of_every_machine_has_the_holds_of_all_and_is_drawn() {
    let scratch = Scratch::new();
    let first = scratch.machine().repository("checkout");
    first.shell_model("m", "echo hello");
    first.shell_model("other", "true");
    first.share(&scratch);
    let second = scratch.machine().clone_of(&first, "checkout");
    first.peat(&RUN).ok();
    second.peat(&RUN).ok();
    second.peat(&["datastore", "lock", "run", "--", "true"]).ok();
    first.peat(&["model", "method", "run", "other", "execute"]).ok();
    for checkout in [&first, &second] {
        checkout.peat(&["datastore", "sync"]).ok();
    }
    let all = holds(&first, &[]);
    assert_eq!(all.len(), 4, "{all:?}");
    assert_eq!(holds(&second, &[]), all);
    assert_eq!(all[2].0, "structural");
    assert_ne!(all[0].1, all[1].1, "two processes");
    assert_eq!(holds(&first, &["--model", "m"]), all[..2]);
    assert_eq!(holds(&first, &["--since", "0s"]), []);
    let page = first.peat(&["datastore", "lock", "history"]).ok();
    page.shows(&["SINCE", "WAITED", "structural", "given up", "committed"]);

    for (name, rows) in [("holds.svg", 0), ("holds.html", 5)] {
        let path = scratch.path().join(name);
        let plot = ["--plot", path.to_str().unwrap()];
        assert_eq!(holds(&first, &plot), all);
        let drawn = std::fs::read_to_string(&path).unwrap();
        let elements = elements_of(&drawn);
        let count = |start: &str| elements.iter().filter(|element| element.starts_with(start)).count();
        assert_eq!(count("rect class=\"hold\""), all.len(), "{drawn}");
        assert_eq!(count("tr"), rows, "{drawn}");
        holds(&first, &plot);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), drawn, "the same holds are drawn in the same way");
    }
    let refused = first.peat(&["datastore", "lock", "history", "--plot", "holds.png"]);
    refused.ended_with(2).says(&["holds.png", ".svg", ".html"]);
}

/// The start tags of a well-formed XML document.
fn elements_of(document: &str) -> Vec<String> {
    let (mut open, mut found) = (Vec::new(), Vec::new());
    for piece in document.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or_else(|| panic!("a tag does not end: {piece}"));
        assert!(!text.contains('>') && !text.replace("&amp;", "").contains("& "), "not escaped: {text}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop().as_deref(), Some(name), "{document}"),
            None if tag.starts_with('!') => {}
            None => {
                found.push(tag.to_owned());
                if !tag.ends_with('/') {
                    open.push(tag.split(' ').next().unwrap().to_owned());
                }
            }
        }
    }
    assert!(open.is_empty(), "{open:?} are not closed");
    found
}

#[test]
fn who_watches_sees_a_holder_come_and_go_and_takes_no_lock() {
    let scratch = Scratch::new();
    let (begun, allowed) = (scratch.path().join("begun"), scratch.path().join("allowed"));
    let checkout = scratch.machine().repository("checkout");
    let script = format!("touch {}; until [ -e {} ]; do sleep 0.05; done", begun.display(), allowed.display());
    checkout.shell_model("m", &script);
    checkout.share(&scratch);
    let watch = ["datastore", "lock", "status", "--watch", "--interval", "100ms", "--json"];
    let mut watching = checkout.command(&watch).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut states = lines.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    assert_eq!(states.next().unwrap()["locks"], serde_json::json!([]));
    let holder = checkout.command(&RUN).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let held = states.find(|state| state["locks"][0]["holder"]["pid"] == holder.id()).unwrap();
    let lock = &held["locks"][0];
    assert_eq!((&lock["state"], &lock["holder"]["command"]), (&"live".into(), &"model method run m execute".into()));
    for part in ["partition", "nonce", "acquiredAt", "renewedAt"] {
        assert!(lock[part].is_string(), "{part} is missing: {lock:#}");
    }
    assert!(lock["holder"]["host"].is_string() && lock["waiting"].is_array(), "{lock:#}");
    std::fs::write(&allowed, "").unwrap();
    Outcome::of(RUN.join(" "), holder.wait_with_output().unwrap()).ok();
    states.find(|state| state["locks"] == serde_json::json!([])).unwrap();
    kill_process(Pid::from_child(&watching), Signal::INT).unwrap();
    // Nobody reads any more what it still has to say.
    drop(states);
    assert!(watching.wait().unwrap().success());
    checkout.peat(&["datastore", "lock", "status", "--watch", "--interval", "1ms"]).ended_with(2).says(&["100 ms"]);
}
