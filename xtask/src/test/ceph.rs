//! The suites of buckets against a real server: a single-node Ceph, started by `tests/ceph/start` and stopped by its own
//! pids. Where it cannot be had (not installed, not root, too slow) that is said and nothing fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::check::Report;
use super::nextest_run;
use crate::{process, workspace};

/// Name of the check.
const NAME: &str = "tests of buckets against Ceph";

/// How long it may take to install it: some hundred packages.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(1200);

/// How long it may take to start it.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// How long its end is waited for: each of its four daemons has ten seconds, then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// How long all of its tests may take together.
const TESTS_TIMEOUT: Duration = Duration::from_secs(1200);

/// Lines of the log that are shown when it does not start.
const SHOWN_LINES: usize = 3;

/// What runs against it: the objects, the protocol over them, the component, and the binary.
const SUITES: &str = "binary(bucket_objects) | binary(datastore_chain) & test(/^in_a_bucket/) \
    | binary(datastore_component) & test(/^s3/) | binary(bucket) & test(/^two_clones/) \
    | binary(namespaces) & package(peat-end-to-end-tests) & not test(in_a_bucket) | binary(run_scopes) \
    | binary(moving) & test(/shared_datastores/) | binary(archives) | binary(locks) | binary(leases) | binary(statistics) \
    | binary(audit) & test(/bucket|as_long_as/) | binary(signals) & test(/bucket|push/) \
    | (binary(retention) | binary(health)) & test(/_bucket_|_bucket$|held/) | binary(killed_runs) & test(/bucket/)";

/// Installs what is missing for it.
pub(super) fn install() -> Result<()> {
    let mut install = Command::new(workspace::root().join("tests/ceph/install"));
    install.stdin(Stdio::null());
    let status = process::status_before(&mut install, Some(Instant::now() + INSTALL_TIMEOUT))?;
    ensure!(status.success(), "tests/ceph/install ended with {status}");
    Ok(())
}

/// Starts it, runs the suites, and stops it whatever became of them.
pub(super) fn run(report: &mut Report, nextest: &Path) {
    println!("\n── {NAME}: starting it");
    match Ceph::start() {
        Ok(ceph) => report.tests(NAME, || {
            let deadline = Some(Instant::now() + TESTS_TIMEOUT);
            let count = nextest_run(nextest, &["-E", SUITES, "--test-threads", "2"], &ceph.environment, deadline);
            drop(ceph);
            count
        }),
        Err(reason) => {
            println!("{reason:#}");
            report.skip(NAME, &format!("{reason:#}").replace('\n', "; "));
        }
    }
}

/// A running Ceph, stopped when this is dropped.
struct Ceph {
    directory: PathBuf,
    environment: Vec<(String, String)>,
}

impl Ceph {
    fn start() -> Result<Self> {
        let directory = workspace::target().join("ceph");
        // What an earlier run that was killed left behind.
        let mut ceph = Self { directory: directory.clone(), environment: Vec::new() };
        ceph.stop()?;
        std::fs::create_dir_all(&directory)?;
        let log = directory.with_extension("log");
        let mut start = script("start", &directory);
        start.stdout(File::create(&log)?).stderr(File::options().append(true).open(&log)?);
        let ended = process::status_before(&mut start, Some(Instant::now() + START_TIMEOUT));
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let last: Vec<&str> = said.lines().rev().take(SHOWN_LINES).collect();
        let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
        ensure!(ended?.success(), "Ceph does not start here:\n{last}");
        let variables = std::fs::read_to_string(directory.join("environment")).context("it names no endpoint")?;
        let variables = variables.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        ceph.environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(ceph)
    }

    fn stop(&self) -> Result<()> {
        let mut stop = script("stop", &self.directory);
        stop.stdout(Stdio::null()).stderr(Stdio::null());
        process::status_before(&mut stop, Some(Instant::now() + STOP_TIMEOUT)).map(drop)
    }
}

impl Drop for Ceph {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            println!("Ceph may still be running; see {}: {error:#}", self.directory.join("pids").display());
        }
    }
}

fn script(name: &str, directory: &Path) -> Command {
    let mut command = Command::new(workspace::root().join("tests/ceph").join(name));
    command.arg(directory).stdin(Stdio::null());
    command
}
