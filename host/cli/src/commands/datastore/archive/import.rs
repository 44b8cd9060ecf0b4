//! Importing an archive: read and checked as a whole into a local store of its own, then copied into the datastore like any
//! other ([`peat_core::copying`]).

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use peat_core::copying::{self, CopyRequest, Side};
use peat_core::interrupt::Interrupt;
use peat_core::repository::HydrationStrategy;
use peat_store::{SqliteStore, StoreSettings};
use serde_json::json;

use super::is_stream;
use super::read::read;
use crate::arguments::DatastoreImport;
use crate::commands::datastore::migration::{amount_json, amount_words, copy_failure, lease_ttl};
use crate::commands::run_scope::SCOPE_MARK;
use crate::composition::{Context, Session, run_async};
use crate::failure::Failure;
use crate::rendering::{Answer, Page, Tone};

/// Where archives are checked, beside the local stores of the repository.
const STAGING: &str = "import";

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Brings everything from an archive into the namespace of the repository.
pub(in crate::commands::datastore) fn import(
    context: &Context,
    arguments: &DatastoreImport,
) -> Result<Answer, Failure> {
    // For its lock: one import of a repository at a time, since they share the place where archives are checked.
    let repository = context.repository_for_change()?;
    let namespace = repository.namespace().clone();
    if namespace.as_str().contains(SCOPE_MARK) {
        return Err(Failure::InvalidInput(format!("{namespace} is a run scope: import into a namespace")));
    }
    let staging = Staging::new(context.home()?.store(&repository.config.id, STAGING))?;
    let session = Session::open(context, context.repository()?)?;
    let (plan, copied, from) = run_async(async |interrupt| {
        let manifest = read(open(&arguments.file)?, &staging.store, &*session.observer, &interrupt)?;
        let copied = Box::pin(copy(&session, &staging, arguments, &interrupt)).await?;
        Ok((copied.0, copied.1, manifest.namespace))
    })?;
    drop(staging);
    session.close(context);
    let mut page = Page::default();
    let words = amount_words(plan.missing);
    match copied {
        None => page.text_line(format!("{words} of namespace {from} would be imported"), Tone::Good),
        Some(copied) => page.text_line(format!("imported {} of namespace {from}", amount_words(copied)), Tone::Good),
    }
    let there = plan.all.versions - plan.missing.versions;
    if there > 0 {
        page.line(format!("{there} versions were there already"));
    }
    let json = json!({ "import": {
        "from": from,
        "into": namespace,
        "dryRun": copied.is_none(),
        "found": amount_json(plan.all),
        "missing": amount_json(plan.missing),
        "imported": copied.map(amount_json),
    }});
    Ok(Answer::new(json, page))
}

/// Copies from the staging store what the datastore does not have.
async fn copy(
    session: &Session,
    staging: &Staging,
    arguments: &DatastoreImport,
    interrupt: &Interrupt,
) -> Result<(copying::CopyPlan, Option<copying::Amount>), Failure> {
    let datastore = session.shared_or_local(interrupt).await?;
    let target = session.side(datastore);
    target.refresh().await?;
    let config = &session.repository.config;
    let request = CopyRequest {
        // Nobody else knows of it.
        source: Side { store: &*staging.store, datastore: None, ..target },
        target,
        alone: false,
        keeps_content: config.hydration_strategy == HydrationStrategy::Full,
        ttl: lease_ttl(session),
        wait: arguments.lock_timeout.unwrap_or(config.lock_timeout),
    };
    let refused =
        |error| copy_failure(error, "import into an empty namespace: `peat datastore namespace set NAME --create`");
    let plan = copying::plan(&request).map_err(refused)?;
    if arguments.dry_run {
        return Ok((plan, None));
    }
    let copied = Box::pin(copying::copy(&request, &plan, interrupt)).await.map_err(refused)?;
    Ok((plan, Some(copied)))
}

fn open(file: &Path) -> Result<Box<dyn Read>, Failure> {
    if is_stream(file) {
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, io::stdin())));
    }
    let opened = File::open(file).map_err(|source| Failure::file("read", file, source))?;
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, opened)))
}

/// An empty local store that goes with this value, or with the next one when this process is killed.
struct Staging {
    store: Arc<SqliteStore>,
    path: PathBuf,
}

impl Staging {
    fn new(path: PathBuf) -> Result<Self, Failure> {
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::file("empty", &path, error));
            }
            _ => {}
        }
        let store = Arc::new(SqliteStore::open(&path, StoreSettings::default())?);
        Ok(Self { store, path })
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "the staging store stays until the next import");
        }
    }
}
