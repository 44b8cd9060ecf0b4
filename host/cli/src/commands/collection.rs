//! What `peat data gc` and `peat datastore compact` have in common: the collection itself, and how it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use peat_core::collection::{CollectedPartition, Collection, CollectionError, CollectionReport, collect};
use peat_core::identifiers::{ModelName, NamespaceName, PartitionName};
use peat_core::interrupt::Interrupt;
use peat_core::ports::{Datastore, LocalStore as _};
use serde_json::{Value, json};

use super::datastore::namespace::all_namespaces;
use super::run_scope::collect_expired;
use crate::composition::{Context, Models, Session, run_async, run_interruptible};
use crate::failure::{Failure, error_json, of_collection};
use crate::rendering::{Answer, Cell, Page, Table, Tone, short_size};

/// How long content stays after it left the index, unless the user says otherwise: longer than any command runs that has read
/// the index before.
const GRACE_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// What to collect.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// Only say what would go.
    pub(super) dry_run: bool,
    /// Look for what no index names, and write anew what takes more room than it must.
    pub(super) compact: bool,
    /// Only these models; empty for all.
    pub(super) models: &'a [ModelName],
    /// How long content stays after it left the index.
    pub(super) grace: Option<Duration>,
    /// How long to wait for what others hold.
    pub(super) lock_timeout: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    report: CollectionReport,
    /// Bytes that came free on this machine.
    freed_here: u64,
    /// What is deleted in the datastore is kept there as an old version.
    keeps_versions: bool,
    /// Run scopes of the namespace whose time was over.
    scopes: Vec<NamespaceName>,
    error: Option<CollectionError>,
}

/// Collects in the datastore and on this machine.
pub(super) fn collection(context: &Context, wanted: &Wanted<'_>) -> Result<Answer, Failure> {
    let repository = context.repository()?;
    let models = repository.models()?;
    let partitions = super::datastore::partitions_of(&repository, wanted.models)?;
    let session = Session::open(context, repository)?;
    let outcome = match session.repository.shared_datastore() {
        None => here(&session, wanted, partitions),
        Some(_) => shared(&session, wanted, partitions),
    }?;
    let answer = answer(wanted, &outcome, &models);
    session.close(context);
    Ok(answer)
}

/// Where this machine's store is the datastore.
fn here(session: &Session, wanted: &Wanted<'_>, partitions: Option<Vec<PartitionName>>) -> Result<Outcome, Failure> {
    let partitions = partitions.map(|partitions| partitions.into_iter().collect::<BTreeSet<_>>());
    let looked_at = match &partitions {
        Some(partitions) => partitions.len() as u64,
        None => session.store.partitions()?.len() as u64,
    };
    let mut found: BTreeMap<PartitionName, CollectedPartition> = BTreeMap::new();
    for expired in session.store.expire(session.now_ms(), partitions.as_ref(), wanted.dry_run)? {
        let of = found.entry(expired.partition.clone()).or_insert_with(|| CollectedPartition::of(expired.partition));
        of.expired += 1;
        of.expired_bytes = of.expired_bytes.saturating_add(expired.size);
    }
    let mut freed_here = 0;
    if !wanted.dry_run {
        freed_here += session.store.collect()?;
        if wanted.compact {
            freed_here += session.store.shrink()?;
        }
    }
    let report = CollectionReport { looked_at, partitions: found.into_values().collect() };
    if !wanted.dry_run && !report.partitions.is_empty() {
        run_interruptible(async {
            audit(session, &report).await;
            Ok(())
        })?;
    }
    Ok(Outcome { report, freed_here, ..Outcome::default() })
}

fn shared(session: &Session, wanted: &Wanted<'_>, partitions: Option<Vec<PartitionName>>) -> Result<Outcome, Failure> {
    let config = &session.repository.config;
    let lease_ttl = config.datastore.shared().map(|shared| shared.lease_ttl).unwrap_or_default();
    let collection = Collection {
        partitions,
        grace: wanted.grace.unwrap_or(GRACE_DEFAULT),
        dry_run: wanted.dry_run,
        compact: wanted.compact,
        lock_timeout: wanted.lock_timeout.unwrap_or(config.lock_timeout),
        lease_ttl,
    };
    let (collected, scopes) = run_async(async |interrupt| {
        let datastore = session.shared_unless_interrupted(&interrupt).await?;
        if !datastore.features().maintenance {
            return Err(Failure::Unusable(format!(
                "the datastore extension {} does not collect; what it keeps stays until it is deleted by its own means",
                datastore.name()
            )));
        }
        // First: what an open run scope may read of its parent stays.
        let scopes = if wanted.models.is_empty() && datastore.features().namespaces {
            Box::pin(scopes(session, datastore, wanted.dry_run, &interrupt)).await?
        } else {
            Vec::new()
        };
        let collected = Box::pin(collect(&session.collect_ports(datastore), &collection, &interrupt)).await;
        let report = match &collected {
            Ok(report) => Some(report),
            Err(CollectionError::Datastore { report, .. } | CollectionError::Interrupted { report }) => Some(report),
            Err(CollectionError::Store(_)) => None,
        };
        if let Some(report) = report.filter(|_| !wanted.dry_run) {
            audit(session, report).await;
        }
        Ok((collected, scopes))
    })?;
    let (report, error) = match collected {
        Ok(report) => (report, None),
        Err(CollectionError::Store(error)) => return Err(error.into()),
        Err(CollectionError::Datastore { source, report }) => {
            (report.clone(), Some(CollectionError::Datastore { source, report }))
        }
        Err(CollectionError::Interrupted { report }) => (report.clone(), Some(CollectionError::Interrupted { report })),
    };
    // What left the index here as well leaves this machine.
    let freed_here = if wanted.dry_run { 0 } else { session.store.collect()? };
    Ok(Outcome { report, freed_here, keeps_versions: session.keeps_versions(), scopes, error })
}

/// Deletes the run scopes of the namespace whose time is over, or says which would be.
async fn scopes(
    session: &Session,
    datastore: &dyn Datastore,
    dry_run: bool,
    interrupt: &Interrupt,
) -> Result<Vec<NamespaceName>, Failure> {
    let mut expired = all_namespaces(datastore).await?;
    expired.retain(|scope| scope.expired && scope.parent.as_ref() == Some(session.repository.namespace()));
    if dry_run {
        return Ok(expired.into_iter().map(|scope| scope.name).collect());
    }
    Ok(collect_expired(session, datastore, interrupt, &expired).await)
}

/// Keeps what was collected, where it was anything.
async fn audit(session: &Session, report: &CollectionReport) {
    let changed = |partition: &&CollectedPartition| partition.expired > 0 || partition.objects_deleted > 0;
    let changed: Vec<&CollectedPartition> = report.partitions.iter().filter(changed).collect();
    if changed.is_empty() {
        return;
    }
    let expired: u64 = changed.iter().map(|partition| partition.expired).sum();
    let objects: u64 = changed.iter().map(|partition| partition.objects_deleted).sum();
    let partitions: Vec<PartitionName> = changed.into_iter().map(|partition| partition.partition.clone()).collect();
    session.audit(&format!("{expired} versions went, {objects} objects were deleted"), &partitions).await;
}

fn answer(wanted: &Wanted<'_>, outcome: &Outcome, models: &Models) -> Answer {
    let partitions = &outcome.report.partitions;
    let json = json!({ "collection": {
        "dryRun": wanted.dry_run,
        "lookedAt": outcome.report.looked_at,
        "partitions": partitions.iter().map(|partition| partition_json(partition, models)).collect::<Vec<_>>(),
        "expired": partitions.iter().map(|partition| partition.expired).sum::<u64>(),
        "expiredBytes": partitions.iter().map(|partition| partition.expired_bytes).sum::<u64>(),
        "objectsDeleted": partitions.iter().map(|partition| partition.objects_deleted).sum::<u64>(),
        "bytesDeleted": bytes_deleted(partitions),
        "bytesFreed": if outcome.keeps_versions { 0 } else { bytes_deleted(partitions) },
        "bytesWaiting": partitions.iter().map(|partition| partition.bytes_waiting).sum::<u64>(),
        "bytesFreedHere": outcome.freed_here,
        "keepsVersions": outcome.keeps_versions,
        "runScopes": outcome.scopes,
    }});
    let mut page = Page::default();
    if !partitions.is_empty() {
        page.table(table(partitions, models));
    }
    page.text_line(sentence(wanted, outcome), Tone::Good);
    for scope in &outcome.scopes {
        let done = if wanted.dry_run { "would be deleted" } else { "was deleted" };
        page.text_line(format!("run scope {scope}, whose time is over, {done}"), Tone::Good);
    }
    for partition in partitions {
        if let Some(left) = &partition.left {
            page.text_line(format!("left as it is: {}: {left}", named(partition, models)), Tone::Attention);
        }
    }
    if outcome.keeps_versions && bytes_deleted(partitions) > 0 {
        page.text_line(
            "the bucket keeps what is deleted as old versions: no room is free until its own rules delete those",
            Tone::Attention,
        );
    }
    let Some(error) = &outcome.error else { return Answer::new(json, page) };
    let (code, message) = (of_collection(error), error.to_string());
    let mut json = json;
    json["error"] = error_json(code, &message)["error"].take();
    Answer::new(json, page).failing(code, message)
}

fn partition_json(partition: &CollectedPartition, models: &Models) -> Value {
    json!({
        "partition": partition.partition,
        "model": model_name(partition, models),
        "expired": partition.expired,
        "expiredBytes": partition.expired_bytes,
        "objectsDeleted": partition.objects_deleted,
        "bytesDeleted": partition.bytes_deleted,
        "bytesWaiting": partition.bytes_waiting,
        "left": partition.left,
    })
}

fn table(partitions: &[CollectedPartition], models: &Models) -> Table {
    let mut table = Table::new(&["MODEL", "EXPIRED", "SIZE", "DELETED", "WAITING"]);
    for partition in partitions {
        table.row(vec![
            Cell::toned(named(partition, models), Tone::Strong),
            Cell::number(partition.expired.to_string()),
            Cell::number(short_size(partition.expired_bytes)),
            Cell::number(short_size(partition.bytes_deleted)),
            Cell::number(short_size(partition.bytes_waiting)),
        ]);
    }
    table
}

fn sentence(wanted: &Wanted<'_>, outcome: &Outcome) -> String {
    let partitions = &outcome.report.partitions;
    let expired: u64 = partitions.iter().map(|partition| partition.expired).sum();
    let waiting: u64 = partitions.iter().map(|partition| partition.bytes_waiting).sum();
    let versions = if expired == 1 { "1 version".to_owned() } else { format!("{expired} versions") };
    let deleted = short_size(bytes_deleted(partitions));
    let mut sentence = if wanted.dry_run {
        format!("{versions} would go, {deleted} would be deleted now")
    } else {
        format!("{versions} went, {deleted} deleted, {} freed on this machine", short_size(outcome.freed_here))
    };
    if waiting > 0 {
        sentence.push_str(&format!("; {} wait for the end of their grace period or their pack", short_size(waiting)));
    }
    sentence
}

fn bytes_deleted(partitions: &[CollectedPartition]) -> u64 {
    partitions.iter().map(|partition| partition.bytes_deleted).sum()
}

fn model_name<'a>(partition: &CollectedPartition, models: &'a Models) -> Option<&'a ModelName> {
    let (_, id) = partition.partition.model()?;
    models.by_id(&id).map(|file| &file.model.name)
}

fn named(partition: &CollectedPartition, models: &Models) -> String {
    model_name(partition, models).map_or_else(|| partition.partition.to_string(), ToString::to_string)
}
