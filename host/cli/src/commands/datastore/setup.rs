//! `peat datastore setup`.
//!
//! `peat.yaml` is written last, after the datastore was set up and passed its examination.

use std::path::Path;

use peat_core::identifiers::ExtensionName;
use peat_core::lease::LEASE_TTL_DEFAULT;
use peat_core::metadata::{Kind, Metadata};
use peat_core::ports::{EntryFilter, LocalStore as _, StoreProfile};
use peat_core::repository::{Driver, HydrationStrategy, SharedDatastore, is_lease_ttl};
use serde_json::{Map, Value, json};

use super::profile::{defect, findings_on, profile_json, remember};
use crate::arguments::{DatastoreSetup, Hydration};
use crate::composition::{
    Context, DatastoreChoice, Extensions, Repository, Session, resolve_settings, run_interruptible,
};
use crate::failure::Failure;
use crate::input::assign;
use crate::rendering::{Answer, Page, Tone};

/// The word that chooses the embedded datastore.
const LOCAL: &str = "local";

/// Chooses the datastore of the repository.
pub(super) fn setup(context: &Context, arguments: &DatastoreSetup) -> Result<Answer, Failure> {
    if context.environment.datastore.is_some() {
        return Err(Failure::InvalidInput(
            "PEAT_DATASTORE is set and would hide what setup writes into peat.yaml; unset it first".to_owned(),
        ));
    }
    if arguments.datastore == LOCAL { choose_local(context, arguments) } else { choose_shared(context, arguments) }
}

fn choose_local(context: &Context, arguments: &DatastoreSetup) -> Result<Answer, Failure> {
    if !arguments.settings.is_empty()
        || arguments.lease_ttl.is_some()
        || arguments.hydration.is_some()
        || arguments.isolation.is_some()
    {
        return Err(Failure::InvalidInput("the datastore `local` has no settings; leave them out".to_owned()));
    }
    let mut repository = context.repository_for_change()?;
    let before = repository.shared_datastore().map(|shared| shared.extension.clone());
    repository.write_datastore(None)?;
    let mut page = Page::default();
    page.text_line("the datastore is local", Tone::Good);
    if let Some(before) = before {
        page.hint(format!("what lies in {before} stays there; choose it again with `peat datastore setup {before}`"));
    }
    Ok(Answer::new(json!({ "datastore": { "kind": LOCAL } }), page))
}

fn choose_shared(context: &Context, arguments: &DatastoreSetup) -> Result<Answer, Failure> {
    let name = ExtensionName::parse(&arguments.datastore)
        .map_err(|error| Failure::InvalidInput(format!("{error}; or write `{LOCAL}` for the embedded datastore")))?;
    if arguments.lease_ttl.is_some_and(|ttl| !is_lease_ttl(ttl)) {
        return Err(Failure::InvalidInput("--lease-ttl: write a duration from 2s to 1h".to_owned()));
    }
    let local_items = local_items(context)?;
    let repository = context.repository_for_change()?;
    let metadata = Extensions::open(&repository, &context.home()?).get(&name)?.metadata;
    let isolation = arguments.isolation.or_else(|| isolation_of(&repository, &name));
    let configured = configured(arguments, &metadata, name, isolation)?;
    let choice = DatastoreChoice::shared(&repository, configured.clone());
    if let DatastoreChoice::Shared { settings, directory, .. } = &choice {
        resolve_settings(&metadata, settings)?;
        create_directory(&metadata, directory.as_deref())?;
    }
    let mut session = Session::with_choice(context, repository, choice)?;
    let (summary, profile) = run_interruptible(examine(&session))?;
    if let Some(defect) = defect(&profile) {
        return Err(Failure::Unusable(format!("{summary} cannot be used: {defect}; peat.yaml is as it was")));
    }
    remember(&session, &profile)?;
    session.repository.write_datastore(Some(&configured))?;
    if let Some(hydration) = arguments.hydration {
        session.repository.write_hydration(match hydration {
            Hydration::Full => HydrationStrategy::Full,
            Hydration::Lazy => HydrationStrategy::Lazy,
        })?;
    }
    let hydration = session.repository.config.hydration_strategy;
    drop(session);
    let mut page = Page::default();
    findings_on(&mut page, &profile);
    page.text_line(format!("the datastore is {summary}"), Tone::Good);
    if local_items > 0 {
        page.hint(format!(
            "{local_items} data items of the datastore `local` stay on this machine and are not moved; \
             `peat datastore setup {LOCAL}` shows them again"
        ));
    }
    page.hint("next: peat datastore sync");
    let datastore = json!({
        "kind": "shared",
        "extension": configured.extension,
        "settings": configured.settings,
        "summary": summary,
        "hydration": hydration,
        "profile": profile_json(&profile),
    });
    Ok(Answer::new(json!({ "datastore": datastore }), page))
}

fn configured(
    arguments: &DatastoreSetup,
    metadata: &Metadata,
    extension: ExtensionName,
    isolation: Option<Driver>,
) -> Result<SharedDatastore, Failure> {
    let schema = match &metadata.kind {
        Kind::Datastore(datastore) => &datastore.settings,
        Kind::Models(_) => &Value::Null,
    };
    let mut settings = Map::new();
    assign(&mut settings, &arguments.settings, schema, "--setting")?;
    Ok(SharedDatastore {
        extension,
        settings: Value::Object(settings),
        lease_ttl: arguments.lease_ttl.unwrap_or(LEASE_TTL_DEFAULT),
        isolation: isolation.filter(|isolation| !isolation.is_in_process()),
    })
}

/// Where the extension runs already: choosing it again moves it nowhere.
fn isolation_of(repository: &Repository, extension: &ExtensionName) -> Option<Driver> {
    repository.shared_datastore().filter(|shared| shared.extension == *extension)?.isolation
}

/// Only setup creates it: later a missing directory is a file system that is not mounted.
fn create_directory(metadata: &Metadata, directory: Option<&Path>) -> Result<(), Failure> {
    match directory {
        Some(directory) if metadata.wants.iter().any(|want| want.capability == "directory") => {
            std::fs::create_dir_all(directory).map_err(|source| Failure::file("create", directory, source))
        }
        _ => Ok(()),
    }
}

async fn examine(session: &Session) -> Result<(String, StoreProfile), Failure> {
    let datastore = session
        .datastore()
        .await?
        .ok_or_else(|| Failure::Internal("a shared datastore was chosen and none is there".to_owned()))?;
    Ok((datastore.summary(), session.completed(datastore.setup().await?)))
}

/// How much the embedded datastore holds, when it is the one that is left.
fn local_items(context: &Context) -> Result<usize, Failure> {
    let repository = context.repository()?;
    if repository.shared_datastore().is_some() {
        return Ok(0);
    }
    let session = Session::open(context, repository)?;
    let filter = EntryFilter { latest_only: true, public_only: true, ..EntryFilter::default() };
    Ok(session.store.entries(&filter)?.len())
}
