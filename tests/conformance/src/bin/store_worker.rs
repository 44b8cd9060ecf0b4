//! A process for tests to kill: works on a store and prints each thing it was told is done, one line each.
//!
//! `store-worker commit DIR WORKER`, `store-worker swap DIR WORKER COUNT`, `store-worker hold DIR PARTITION`.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};
use peat_conformance_tests::crash_work::{COMMITS_PER_WORKER, Way, changes, way};
use peat_conformance_tests::samples::receipt;
use peat_core::content;
use peat_core::identifiers::PartitionName;
use peat_core::ports::{Condition, LocalLocks, LocalStore, Lookup, ObjectError, ObjectStore, Replica};
use peat_store::{DirectoryObjects, FileLocks, SqliteStore, StoreSettings};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    match arguments[..] {
        ["commit", directory, worker] => commit(Path::new(directory), worker.parse()?),
        ["swap", directory, worker, count] => runtime.block_on(swap(Path::new(directory), worker, count.parse()?)),
        ["hold", directory, partition] => runtime.block_on(hold(Path::new(directory), partition)),
        _ => bail!("unknown arguments {arguments:?}"),
    }
}

fn done(what: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{what}")?;
    Ok(stdout.flush()?)
}

/// Commits until it is killed.
fn commit(directory: &Path, worker: u64) -> anyhow::Result<()> {
    let store = SqliteStore::open(directory, StoreSettings::default())?;
    for number in worker * COMMITS_PER_WORKER.. {
        let changes = changes(&store, number);
        match way(number) {
            Way::Commit => {
                store.commit(&changes)?;
            }
            Way::Stage => store.stage(&changes, number)?,
            Way::Confirm => {
                store.stage(&changes, number)?;
                store.confirm(&changes.commit_id, &changes.partition, &receipt(&changes, 1, &number.to_string()))?;
            }
        }
        done(&number.to_string())?;
        if number.is_multiple_of(5) {
            store.cache(&format!("key-{}", number % 3), &changes.append[0].content)?;
            store.collect()?;
        }
    }
    Ok(())
}

/// Adds its lines to one object by compare-and-swap.
async fn swap(directory: &Path, worker: &str, count: u64) -> anyhow::Result<()> {
    let store = DirectoryObjects::open(directory)?;
    for number in 0..count {
        loop {
            let (mut lines, condition) = match store.get("space/head", None).await {
                Ok(Lookup::Found(found)) => {
                    (content::read_all(&*found.content, u64::MAX)?, Condition::Matches(found.object.etag))
                }
                Ok(Lookup::NotModified) => bail!("not modified, though nothing was asked against"),
                Err(ObjectError::NotFound { .. }) => (Vec::new(), Condition::Absent),
                Err(error) => return Err(error.into()),
            };
            writeln!(lines, "{worker}-{number}")?;
            match store.put("space/head", content::in_memory(lines), condition).await {
                Ok(_) => break,
                Err(ObjectError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        done(&format!("{worker}-{number}"))?;
    }
    Ok(())
}

/// Holds a lock until it is killed.
async fn hold(directory: &Path, partition: &str) -> anyhow::Result<()> {
    let locks = FileLocks::open(directory, "peat model method run")?;
    let partition = PartitionName::parse(partition)?;
    let _guard = locks.lock(&partition, std::time::Duration::from_secs(30)).await.context("the lock to hold")?;
    done("locked")?;
    loop {
        std::thread::park();
    }
}
