//! One index and whole objects in a granted directory.

use peat_sdk::datastore::host::{Condition, Lookup, ObjectStore, directory, known};
use peat_sdk::datastore::*;
use peat_sdk::{Error, ErrorKind, content};

use super::index::{Index, Stored};

/// How often a push is tried again after somebody else changed the same partition: the host serialises writers of one
/// machine, so more means a store that ignores conditions.
const PUSH_ATTEMPTS_MAX: u32 = 16;

/// Makes the identity of the store, once.
pub(crate) async fn setup() -> Result<(), Error> {
    let store = directory::open().await?;
    let id = content::of(peat_sdk::random::hexadecimal(16).as_bytes()).await?;
    match store.put("store-id".to_owned(), &id, Condition::Absent).await {
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind, ErrorKind::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Looks whether creating what is there is refused.
pub(crate) async fn verify() -> Result<Profile, Error> {
    let store = directory::open().await?;
    let store_id = String::from_utf8_lossy(&read(&store, "store-id").await?).into_owned();
    let again = content::of(b"another").await?;
    let refused = store.put("store-id".to_owned(), &again, Condition::Absent).await.is_err();
    let verdict = if refused { Verdict::Passed } else { Verdict::Failed };
    let detail = "creating what is there already must be refused".to_owned();
    let finding = Finding { name: "second create".to_owned(), verdict, detail };
    Ok(Profile { store_id, format_version: 1, findings: vec![finding] })
}

/// All news in one page, with all content.
pub(crate) async fn pull(request: PullRequest) -> Result<PullPage, Error> {
    let store = directory::open().await?;
    let partitions = match request.partitions {
        Some(partitions) => partitions,
        None => all_partitions(&store, &request.namespace).await?,
    };
    let total = partitions.len() as u64;
    let mut deltas = Vec::new();
    for (partition, known) in partitions.iter().zip(known(&partitions)?) {
        let (index, etag) = load(&store, &request.namespace, partition).await?;
        if etag.is_empty() || known.as_ref() == Some(&etag) {
            continue;
        }
        let mut entries = Vec::new();
        for stored in index.entries {
            let content = match store.get(stored.location.clone(), None).await? {
                Lookup::Found(found) => Some(found.content),
                Lookup::NotModified => None,
            };
            entries.push(PulledEntry { entry: stored.into(), content });
        }
        deltas.push(PartitionDelta {
            partition: partition.clone(),
            mode: DeltaMode::Replace,
            version: etag,
            entries,
            removed: Vec::new(),
            continues: false,
        });
    }
    Ok(PullPage { deltas, cursor: None, partitions_total: Some(total) })
}

/// Content first, then the index.
pub(crate) async fn push(request: PushRequest) -> Result<Receipt, Error> {
    let store = directory::open().await?;
    for new in &request.append {
        let key = object_key(&request, &new.digest);
        store.put(key, &new.content, Condition::Always).await?;
    }
    for _ in 0..PUSH_ATTEMPTS_MAX {
        let (mut index, etag) = load(&store, &request.namespace, &request.partition).await?;
        if let Some(versions) = index.commit(&request.commit_id) {
            // An earlier attempt was applied, its answer lost.
            return Ok(index.receipt(&versions, Vec::new(), etag));
        }
        let (versions, removed) = index.apply(&request, |digest| object_key(&request, digest));
        let condition = if etag.is_empty() { Condition::Absent } else { Condition::Matches(etag) };
        let bytes = content::of(&serde_json::to_vec(&index)?).await?;
        match store.put(index_key(&request.namespace, &request.partition), &bytes, condition).await {
            Ok(etag) => return Ok(index.receipt(&versions, removed, etag)),
            Err(error) if error.is_transient() => continue,
            Err(error) => return Err(error),
        }
    }
    Err(Error::conflict(request.partition, "somebody else kept changing it; run again"))
}

fn index_key(namespace: &str, partition: &str) -> String {
    format!("{namespace}/index/{partition}.json")
}

fn object_key(request: &PushRequest, digest: &str) -> String {
    format!("{}/objects/{}/{digest}", request.namespace, request.partition)
}

/// The index of a partition and its ETag; empty and "" where there is none yet.
async fn load(store: &ObjectStore, namespace: &str, partition: &str) -> Result<(Index, String), Error> {
    match store.get(index_key(namespace, partition), None).await {
        Ok(Lookup::Found(found)) => {
            let bytes = content::read(&found.content, found.object.size).await?;
            let index = serde_json::from_slice(&bytes).map_err(|error| Error::corrupt(partition, error.to_string()))?;
            Ok((index, found.object.etag))
        }
        Ok(Lookup::NotModified) => Err(Error::corrupt(partition, "not-modified without having asked")),
        Err(error) if matches!(error.kind, ErrorKind::NotFound) => Ok((Index::default(), String::new())),
        Err(error) => Err(error),
    }
}

async fn read(store: &ObjectStore, key: &str) -> Result<Vec<u8>, Error> {
    match store.get(key.to_owned(), None).await? {
        Lookup::Found(found) => content::read(&found.content, found.object.size).await,
        Lookup::NotModified => Err(Error::corrupt(key, "not-modified without having asked")),
    }
}

async fn all_partitions(store: &ObjectStore, namespace: &str) -> Result<Vec<String>, Error> {
    let prefix = format!("{namespace}/index/");
    let (mut partitions, mut cursor) = (Vec::new(), None);
    loop {
        let listing = store.list(prefix.clone(), false, cursor).await?;
        let name = |key: &str| Some(key.strip_prefix(&prefix)?.strip_suffix(".json")?.to_owned());
        partitions.extend(listing.objects.iter().filter_map(|object| name(&object.key)));
        cursor = listing.cursor;
        if cursor.is_none() {
            return Ok(partitions);
        }
    }
}

impl From<Stored> for Entry {
    fn from(stored: Stored) -> Self {
        Self {
            name: stored.name,
            version: stored.version,
            size: stored.size,
            digest: stored.digest,
            content_type: stored.content_type,
            lifetime: stored.lifetime_ms.map_or(Lifetime::Infinite, Lifetime::DurationMs),
            tags: stored.tags.into_iter().map(|(name, value)| Tag { name, value }).collect(),
            created_at_ms: stored.created_at_ms,
            run_id: stored.run_id,
            of_failed_run: stored.of_failed_run,
            location: stored.location,
        }
    }
}
