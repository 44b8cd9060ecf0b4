//! Processes killed at any moment: what was acknowledged is there, and the next command needs no help.

#![allow(clippy::unwrap_used, reason = "a test ends where something it counts on is not so")]

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use peat_end_to_end_tests::{Checkout, Machine, Random, Scratch, TestBucket};

/// Processes killed altogether.
const KILLS: usize = 200;

/// Processes killed over a bucket: the same protocol, so fewer show that its store makes no difference.
const KILLS_OVER_A_BUCKET: usize = 60;

/// Processes at once, over all machines.
const AT_ONCE: usize = 6;

/// Models they run: fewer than processes, so that they also queue.
const MODELS: u64 = 4;

/// Longest life of a process before it is killed: about twice what an undisturbed run takes here.
const LIFE_MS_MAX: u64 = 500;

/// Of so many processes one is left alone, so that there are acknowledgements from among the kills.
const SPARED_ONE_IN: u64 = 4;

/// Without so many acknowledgements nothing would be shown.
const ACKNOWLEDGED_MIN: usize = 20;

/// All of it must fit into this.
const BOUND: Duration = Duration::from_secs(240);

struct Running {
    child: Child,
    marker: u64,
    model: u64,
    kill_at: Option<Instant>,
}

#[test]
fn two_hundred_runs_killed_at_random_points_lose_nothing_that_was_acknowledged() {
    let scratch = Scratch::new();
    killed_runs(KILLS, &|| scratch.machine(), &|checkout| {
        checkout.install("peat-directory", &[]);
        let setting = format!("path={}", scratch.shared_directory().display());
        // A short lease: a holder killed on another machine is waited for that long.
        checkout.peat(&["datastore", "setup", "@peat/directory", "--setting", &setting, "--lease-ttl", "2s"]).ok();
    });
}

#[test]
fn runs_killed_at_random_points_lose_nothing_that_a_bucket_acknowledged() {
    let (scratch, bucket) = (Scratch::new(), TestBucket::new());
    killed_runs(KILLS_OVER_A_BUCKET, &|| bucket.machine(&scratch), &|checkout| {
        bucket.share(checkout, &["--lease-ttl", "5s"]);
    });
}

/// Runs on two machines that share a datastore, killed until there were `kills`; a third machine then looks.
fn killed_runs(kills: usize, machine: &dyn Fn() -> Machine, share: &dyn Fn(&Checkout)) {
    let started = Instant::now();
    let mut random = Random::from_environment(20_261_121);
    let first = machine().repository("checkout");
    for model in 0..MODELS {
        // Small and large: in the index, in a pack, an object of its own.
        let bytes = [10, 20_000, 200_000, 1_500_000][usize::try_from(model).unwrap()];
        let script = format!("echo $MARKER; head -c {bytes} /dev/zero | tr '\\0' x");
        let name = format!("m{model}");
        let run = format!("run={script}");
        let create = ["model", "create", &name, "--type", "command/shell", "--argument", &run];
        first.peat(&[&create[..], &["--argument", "environment=[\"MARKER\"]"]].concat()).ok();
    }
    share(&first);
    let second = machine().clone_of(&first, "checkout");
    let checkouts = [first, second];

    let mut running: Vec<Running> = Vec::new();
    let mut acknowledged: Vec<(u64, u64)> = Vec::new();
    let (mut killed, mut failed, mut marker) = (0, Vec::new(), 0);
    // On a busy machine runs take longer and more of them are killed: it goes on until enough came through.
    while killed < kills || acknowledged.len() < ACKNOWLEDGED_MIN {
        assert!(started.elapsed() < BOUND, "only {killed} kills after {:?}", started.elapsed());
        while running.len() < AT_ONCE {
            let checkout = &checkouts[usize::try_from(random.below(2)).unwrap()];
            running.push(start(checkout, marker, &mut random));
            marker += 1;
        }
        for process in &mut running {
            if process.kill_at.is_some_and(|at| at <= Instant::now()) {
                process.child.kill().unwrap();
                process.kill_at = None;
            }
        }
        running.retain_mut(|process| match process.child.try_wait().unwrap() {
            None => true,
            Some(status) => {
                match status.code() {
                    Some(0) => acknowledged.push((process.model, process.marker)),
                    Some(code) => failed.push((process.marker, code)),
                    None => killed += 1,
                }
                false
            }
        });
        std::thread::sleep(Duration::from_millis(2));
    }
    for process in &mut running {
        process.child.kill().unwrap();
        process.child.wait().unwrap();
    }
    println!(
        "{killed} killed, {} acknowledged, {} failed by themselves, {:?}",
        acknowledged.len(),
        failed.len(),
        started.elapsed()
    );
    // A run that gave up waiting for a killed holder (4) is honest; anything else is a defect.
    assert!(failed.iter().all(|(_, code)| *code == 4), "exit codes of runs that were not killed: {failed:?}");

    let third = machine().clone_of(&checkouts[0], "checkout");
    third.peat(&["datastore", "sync"]).ok();
    let found: Vec<Vec<String>> = (0..MODELS).map(|model| markers(&third, model)).collect();
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|(model, marker)| !found[usize::try_from(*model).unwrap()].contains(&marker.to_string()))
        .collect();
    assert!(lost.is_empty(), "acknowledged and lost (model, marker): {lost:?}");
    // And all three go on without help.
    for checkout in checkouts.iter().chain([&third]) {
        for model in 0..MODELS {
            let name = format!("m{model}");
            let mut run = checkout.command(&["model", "method", "run", &name, "execute", "--lock-timeout", "30s"]);
            let output = run.env("MARKER", "after").output().unwrap();
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
    println!("checked after {:?}", started.elapsed());
}

fn start(checkout: &Checkout, marker: u64, random: &mut Random) -> Running {
    let model = random.below(MODELS);
    let name = format!("m{model}");
    let mut command = checkout.command(&["model", "method", "run", &name, "execute", "--lock-timeout", "30s"]);
    command.env("MARKER", marker.to_string()).stdout(Stdio::null()).stderr(Stdio::null());
    let spared = random.below(SPARED_ONE_IN) == 0;
    let life = Duration::from_millis(random.below(LIFE_MS_MAX));
    let child = command.spawn().unwrap();
    Running { child, marker, model, kill_at: (!spared).then(|| Instant::now() + life) }
}

/// The first lines of all versions of the model's output, each read in full.
fn markers(checkout: &Checkout, model: u64) -> Vec<String> {
    let name = format!("m{model}");
    let versions = checkout.peat(&["data", "versions", &name, "stdout", "--json"]);
    if versions.code == Some(3) {
        return Vec::new();
    }
    let versions = versions.ok().json();
    let numbers =
        versions["versions"].as_array().unwrap().iter().map(|entry| entry["version"].as_u64().unwrap().to_string());
    numbers
        .map(|number| {
            let get = checkout.peat(&["data", "get", &name, "stdout", "--version", &number, "--output", "-"]).ok();
            get.stdout.lines().next().unwrap_or_default().to_owned()
        })
        .collect()
}
