//! `peat data prune`: the data of models that are not defined any more.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use peat_core::collection::rooms;
use peat_core::identifiers::PartitionName;
use peat_core::ports::LocalStore as _;
use peat_core::prune::{Pruned, committed, prune as prune_one};
use serde_json::{Value, json};

use crate::arguments::DataPrune;
use crate::composition::{Context, Models, Session, run_async, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_size};

/// A partition whose model is gone.
#[derive(Debug)]
struct Orphaned {
    partition: PartitionName,
    versions: u64,
    bytes: u64,
    /// Why it was left as it is.
    left: Option<String>,
    /// Its data left the index.
    gone: bool,
}

/// Lets it go, after a question.
pub(super) fn prune(context: &Context, arguments: &DataPrune) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let models = repository.models()?;
    // A definition that cannot be read is no reason to delete its data.
    models.all()?;
    let session = Session::open(context, repository)?;
    let mut orphaned = run_interruptible(orphaned(&session, &models))?;
    if arguments.dry_run || orphaned.is_empty() {
        return Ok(answer(&orphaned, arguments.dry_run));
    }
    if !arguments.yes && !confirmed(context, &orphaned) {
        return Err(Failure::InvalidInput(format!(
            "the data of {} would be lost for everybody who uses this datastore; look at it with --dry-run, then add --yes",
            counted(orphaned.len())
        )));
    }
    let config = &session.repository.config;
    let lease_ttl = config.datastore.shared().map(|shared| shared.lease_ttl).unwrap_or_default();
    let wait = arguments.lock_timeout.unwrap_or(config.lock_timeout);
    run_async(async |interrupt| {
        let datastore = session.datastore().await?;
        let ports = session.prune_ports(datastore);
        let mut failed = None;
        for one in &mut orphaned {
            let pruned = prune_one(&ports, &one.partition, (lease_ttl, wait), &interrupt).await;
            match pruned.map_err(Failure::from) {
                Ok(Pruned { versions, bytes }) => (one.versions, one.bytes, one.gone) = (versions, bytes, true),
                Err(failure) if failure.exit_code() == crate::exit_code::ExitCode::LockTimeout => {
                    one.left = Some(failure.to_string());
                }
                Err(failure) => {
                    failed = Some(failure);
                    break;
                }
            }
        }
        let gone: Vec<&Orphaned> = orphaned.iter().filter(|one| one.gone).collect();
        if !gone.is_empty() {
            let versions: u64 = gone.iter().map(|one| one.versions).sum();
            let partitions: Vec<PartitionName> = gone.iter().map(|one| one.partition.clone()).collect();
            session.audit(&format!("{versions} versions of {} went", counted(gone.len())), &partitions).await;
        }
        failed.map_or(Ok(()), Err)
    })?;
    session.store.collect()?;
    session.close(context);
    Ok(answer(&orphaned, false))
}

/// Partitions with data whose model no file defines.
async fn orphaned(session: &Session, models: &Models) -> Result<Vec<Orphaned>, Failure> {
    let is_gone = |partition: &PartitionName| partition.model().is_some_and(|(_, id)| models.by_id(&id).is_none());
    let mut found = Vec::new();
    match session.datastore().await? {
        Some(datastore) => {
            for room in rooms(datastore).await?.0 {
                if is_gone(&room.partition) && room.entries > 0 {
                    let (versions, bytes) = (room.entries, room.bytes);
                    found.push(Orphaned { partition: room.partition, versions, bytes, left: None, gone: false });
                }
            }
        }
        None => {
            for partition in session.store.partitions()?.into_iter().filter(is_gone) {
                let committed = committed(&*session.store, &partition)?;
                if !committed.is_empty() {
                    let bytes = committed.iter().map(|(_, size)| size).sum();
                    found.push(Orphaned {
                        partition,
                        versions: committed.len() as u64,
                        bytes,
                        left: None,
                        gone: false,
                    });
                }
            }
        }
    }
    Ok(found)
}

fn answer(orphaned: &[Orphaned], dry_run: bool) -> Answer {
    let mut page = Page::default();
    if orphaned.is_empty() {
        page.text_line("every model whose data is here is defined: there is nothing to prune", Tone::Good);
    } else {
        let mut table = Table::new(&["PARTITION", "VERSIONS", "SIZE"]);
        for one in orphaned {
            table.row(vec![
                Cell::toned(one.partition.to_string(), Tone::Strong),
                Cell::number(one.versions.to_string()),
                Cell::number(short_size(one.bytes)),
            ]);
        }
        page.table(table);
        let gone = orphaned.iter().filter(|one| one.left.is_none()).count();
        let went = if dry_run { "would go" } else { "went" };
        page.text_line(format!("the data of {} {went}", counted(gone)), Tone::Good);
        page.hint("peat data gc frees the room when the grace period is over");
    }
    for one in orphaned {
        if let Some(left) = &one.left {
            page.text_line(format!("left as it is: {left}"), Tone::Attention);
        }
    }
    let list: Vec<Value> = orphaned
        .iter()
        .map(|one| {
            let (partition, versions, bytes) = (&one.partition, one.versions, one.bytes);
            json!({ "partition": partition, "versions": versions, "bytes": bytes, "left": one.left })
        })
        .collect();
    Answer::new(json!({ "dryRun": dry_run, "pruned": list }), page)
}

/// Asks where somebody can answer.
fn confirmed(context: &Context, orphaned: &[Orphaned]) -> bool {
    if context.screen.is_json() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return false;
    }
    let mut terminal = io::stderr().lock();
    let versions: u64 = orphaned.iter().map(|one| one.versions).sum();
    let question = format!(
        "{versions} versions of {} will be lost for everybody who uses this datastore. Let them go? [y/N] ",
        counted(orphaned.len())
    );
    if terminal.write_all(question.as_bytes()).and_then(|()| terminal.flush()).is_err() {
        return false;
    }
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

fn counted(models: usize) -> String {
    if models == 1 { "1 model that is not defined".to_owned() } else { format!("{models} models that are not defined") }
}
