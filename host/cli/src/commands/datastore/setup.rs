//! `peat datastore setup`.
//!
//! `peat.yaml` is written last, after the datastore was set up, passed its examination and has all data of the one before.

use std::path::Path;

use peat_core::hold::unless_interrupted;
use peat_core::identifiers::ExtensionName;
use peat_core::lease::LEASE_TTL_DEFAULT;
use peat_core::metadata::{Kind, Metadata};
use peat_core::ports::StoreProfile;
use peat_core::repository::{DatastoreConfig, Driver, HydrationStrategy, SharedDatastore, is_lease_ttl};
use serde_json::{Map, Value, json};

use super::migration::Migration;
use super::profile::{defect, findings_on, profile_json, remember};
use crate::arguments::{DatastoreSetup, Hydration};
use crate::composition::{Context, DatastoreChoice, Extensions, Repository, Session, resolve_settings, run_async};
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
    let mut target = context.repository()?;
    target.config.datastore = DatastoreConfig::default();
    let choice = DatastoreChoice::of(&target);
    let target = Session::with_choice(context, target, choice)?;
    let migration = migration(context, arguments, &target)?;
    if arguments.dry_run {
        return planned(migration.as_ref(), &target);
    }
    // It may have been left before.
    target.store.enter()?;
    let migrated = match &migration {
        None => None,
        Some(migration) => run_async(async |interrupt| {
            let mut switch = || repository.write_datastore(None);
            Box::pin(migration.carry_out(&target, None, &mut switch, &interrupt)).await
        })?,
    };
    if migration.is_none() {
        repository.write_datastore(None)?;
    }
    let mut page = Page::default();
    let mut json = json!({ "datastore": { "kind": LOCAL } });
    if let Some(migrated) = &migrated {
        migrated.show(&mut page);
        json["migration"] = migrated.json();
    }
    page.text_line("the datastore is local", Tone::Good);
    if let Some(before) = before.filter(|_| migrated.is_none()) {
        page.hint(format!("what lies in {before} stays there; choose it again with `peat datastore setup {before}`"));
    }
    Ok(Answer::new(json, page))
}

fn choose_shared(context: &Context, arguments: &DatastoreSetup) -> Result<Answer, Failure> {
    let name = ExtensionName::parse(&arguments.datastore)
        .map_err(|error| Failure::InvalidInput(format!("{error}; or write `{LOCAL}` for the embedded datastore")))?;
    if arguments.lease_ttl.is_some_and(|ttl| !is_lease_ttl(ttl)) {
        return Err(Failure::InvalidInput("--lease-ttl: write a duration from 2s to 1h".to_owned()));
    }
    let mut repository = context.repository_for_change()?;
    let metadata = Extensions::open(&repository, &context.home()?).get(&name)?.metadata;
    let isolation = arguments.isolation.or_else(|| isolation_of(&repository, &name));
    let configured = configured(arguments, &metadata, name, isolation)?;
    let target = context.repository()?;
    let choice = DatastoreChoice::shared(&target, configured.clone());
    if let DatastoreChoice::Shared { settings, directory, .. } = &choice {
        resolve_settings(&metadata, settings)?;
        if !arguments.dry_run {
            create_directory(&metadata, directory.as_deref())?;
        }
    }
    let target = Session::with_choice(context, target, choice)?;
    let migration = migration(context, arguments, &target)?;
    if arguments.dry_run {
        return planned(migration.as_ref(), &target);
    }
    // It may have been left before.
    target.store.enter()?;
    let (summary, profile, migrated) = run_async(async |interrupt| {
        let (summary, profile) =
            Box::pin(unless_interrupted(&interrupt, examine(&target))).await.unwrap_or(Err(Failure::Interrupted))?;
        if let Some(defect) = defect(&profile) {
            return Err(Failure::Unusable(format!("{summary} cannot be used: {defect}; peat.yaml is as it was")));
        }
        remember(&target, &profile)?;
        let mut switch = || repository.write_datastore(Some(&configured));
        let migrated = match &migration {
            None => {
                switch()?;
                None
            }
            Some(migration) => {
                let datastore = target.datastore().await?;
                Box::pin(migration.carry_out(&target, datastore, &mut switch, &interrupt)).await?
            }
        };
        Ok((summary, profile, migrated))
    })?;
    if let Some(hydration) = arguments.hydration {
        repository.write_hydration(strategy(hydration))?;
    }
    let mut page = Page::default();
    findings_on(&mut page, &profile);
    let datastore = json!({
        "kind": "shared",
        "extension": configured.extension,
        "settings": configured.settings,
        "summary": summary,
        "hydration": repository.config.hydration_strategy,
        "profile": profile_json(&profile),
    });
    let mut json = json!({ "datastore": datastore });
    if let Some(migrated) = &migrated {
        migrated.show(&mut page);
        json["migration"] = migrated.json();
    }
    page.text_line(format!("the datastore is {summary}"), Tone::Good);
    page.hint("next: peat datastore sync");
    Ok(Answer::new(json, page))
}

/// What would be copied.
fn planned(migration: Option<&Migration>, target: &Session) -> Result<Answer, Failure> {
    let mut page = Page::default();
    let Some(migration) = migration else {
        page.line("nothing would be copied");
        return Ok(Answer::new(json!({ "migration": null }), page));
    };
    let migrated = run_async(async |interrupt| Box::pin(migration.planned(target, &interrupt)).await)?;
    migrated.show(&mut page);
    Ok(Answer::new(json!({ "migration": migrated.json() }), page))
}

/// What has to be copied, unless it is to be left alone.
fn migration(context: &Context, arguments: &DatastoreSetup, target: &Session) -> Result<Option<Migration>, Failure> {
    if arguments.no_migrate {
        return Ok(None);
    }
    let hydration = arguments.hydration.map_or(target.repository.config.hydration_strategy, strategy);
    Migration::of(context, target, arguments.lock_timeout, hydration)
}

fn strategy(hydration: Hydration) -> HydrationStrategy {
    match hydration {
        Hydration::Full => HydrationStrategy::Full,
        Hydration::Lazy => HydrationStrategy::Lazy,
    }
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
