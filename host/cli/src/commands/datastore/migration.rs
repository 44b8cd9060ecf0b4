//! The data of a repository that chooses another datastore: copied there while nobody writes to the one that is left.

use std::path::PathBuf;
use std::time::Duration;

use peat_core::copying::{self, Amount, CopyError, CopyPlan, CopyRequest};
use peat_core::hold::{self, Held, Wanted, unless_interrupted};
use peat_core::interrupt::Interrupt;
use peat_core::lease::LEASE_TTL_DEFAULT;
use peat_core::ports::{Datastore, LocalStore as _};
use peat_core::repository::HydrationStrategy;
use serde_json::{Value, json};

use super::namespace::nothing_uncommitted;
use super::profile::remembered;
use crate::composition::{Context, DatastoreChoice, Session, departure};
use crate::exit_code::ExitCode;
use crate::failure::Failure;
use crate::rendering::{Page, Tone, short_size};

/// What to do about results that are on this machine alone.
const UNSENT: &str = "send them first, with `peat datastore push`";

/// The datastore that is left, and how to copy what it holds.
pub(super) struct Migration {
    /// What is copied.
    source: Session,
    /// How long to wait for those who write to it.
    wait: Duration,
    hydration: HydrationStrategy,
}

/// What a migration did.
#[derive(Debug)]
pub(super) struct Migrated {
    plan: CopyPlan,
    /// None where it was only to be said.
    copied: Option<Amount>,
    from: String,
    /// Where the local store of the datastore that was left lies, where that is all there is of it.
    left: Option<PathBuf>,
}

impl Migration {
    /// None where there is nothing to leave, or it is to be left alone.
    pub(super) fn of(
        context: &Context,
        target: &Session,
        wait: Option<Duration>,
        hydration: HydrationStrategy,
    ) -> Result<Option<Self>, Failure> {
        let source = context.repository()?;
        let choice = DatastoreChoice::of(&source);
        let source = Session::with_choice(context, source, choice)?;
        if source.choice.key() == target.choice.key() {
            return Ok(None);
        }
        let wait = wait.unwrap_or(source.repository.config.lock_timeout);
        Ok(Some(Self { source, wait, hydration }))
    }

    /// Whether there is something to copy. Brings the index of the datastore that is left; results that are on this machine
    /// alone must be sent first.
    async fn has_data(&self, datastore: Option<&dyn Datastore>) -> Result<bool, Failure> {
        nothing_uncommitted(&self.source, UNSENT)?;
        self.source.side(datastore).refresh().await?;
        self.holds_versions()
    }

    fn holds_versions(&self) -> Result<bool, Failure> {
        Ok(self.source.store.sizes()?.iter().any(|size| size.versions > 0))
    }

    /// What would be copied, as far as this machine knows the new datastore.
    pub(super) async fn planned(&self, target: &Session, interrupt: &Interrupt) -> Result<Migrated, Failure> {
        let work = async {
            let source = self.source.datastore().await?;
            self.has_data(source).await?;
            let plan = copying::plan(&self.request(source, target, None)).map_err(|error| self.refused(error))?;
            Ok(Migrated { plan, copied: None, from: summary(source), left: None })
        };
        Box::pin(unless_interrupted(interrupt, work)).await.unwrap_or(Err(Failure::Interrupted))
    }

    /// Copies everything, and has the configuration switched while nobody can write to the datastore that is left. None where
    /// there is nothing to copy, or both are the same place.
    pub(super) async fn carry_out(
        &self,
        target: &Session,
        target_datastore: Option<&dyn Datastore>,
        switch: &mut dyn FnMut() -> Result<(), Failure>,
        interrupt: &Interrupt,
    ) -> Result<Option<Migrated>, Failure> {
        let looking = async {
            let source = self.source.datastore().await?;
            Ok::<_, Failure>((source, self.has_data(source).await?))
        };
        let looked = Box::pin(unless_interrupted(interrupt, looking)).await;
        let (source, has_data) = looked.unwrap_or(Err(Failure::Interrupted)).map_err(without_source)?;
        let to = summary(target_datastore);
        if !has_data || self.is_same_place(target)? {
            self.leave(&to)?;
            // What came after the look; from now on nothing does.
            if self.is_same_place(target)? || !self.holds_versions()? {
                self.switch(&to, switch)?;
                return Ok(None);
            }
            self.source.store.enter()?;
        }
        let ports = self.source.side(source).hold;
        let held = self.hold(source, interrupt).await?;
        let work = async {
            // What was written between the first look and the lock.
            self.source.side(source).refresh().await?;
            target.side(target_datastore).refresh().await?;
            let request = self.request(source, target, target_datastore);
            let plan = copying::plan(&request).map_err(|error| self.refused(error))?;
            let copied = Box::pin(copying::copy(&request, &plan, interrupt)).await;
            let copied = copied.map_err(|error| self.refused(error))?;
            self.switch(&to, switch)?;
            let left = source.is_none().then(|| self.source.store_path());
            Ok(Some(Migrated { plan, copied: Some(copied), from: summary(source), left }))
        };
        let migrated = Box::pin(held.unless_lost(&ports, work)).await;
        hold::give_up(&ports, held).await;
        migrated?
    }

    fn request<'a>(
        &'a self,
        source: Option<&'a dyn Datastore>,
        target: &'a Session,
        target_datastore: Option<&'a dyn Datastore>,
    ) -> CopyRequest<'a> {
        CopyRequest {
            source: self.source.side(source),
            target: target.side(target_datastore),
            alone: true,
            keeps_content: self.hydration == HydrationStrategy::Full,
            ttl: lease_ttl(target),
            wait: self.wait,
        }
    }

    /// Nobody writes to what is left while this is held: the lease of the namespace, or, where there is none, every partition
    /// on this machine.
    async fn hold(&self, source: Option<&dyn Datastore>, interrupt: &Interrupt) -> Result<Held, Failure> {
        let ports = self.source.side(source).hold;
        let ttl = lease_ttl(&self.source);
        if source.map(Datastore::features).is_some_and(|features| features.locks) {
            return Ok(hold::take_structural(&ports, ttl, self.wait, interrupt).await?);
        }
        let models = self.source.repository.models()?;
        let mut partitions = self.source.store.partitions()?;
        partitions.extend(models.files.iter().map(|file| file.model.partition()));
        // One open file for each.
        allow_open_files();
        let wanted = Wanted { partitions: &partitions, ttl, wait: self.wait };
        Ok(hold::take(&ports, &wanted, interrupt).await?)
    }

    /// The same namespace of the same store, with other settings.
    fn is_same_place(&self, target: &Session) -> Result<bool, Failure> {
        let id = |session: &Session| {
            let profile = remembered(session)?;
            Ok::<_, Failure>(profile.and_then(|profile| profile["storeId"].as_str().map(str::to_owned)))
        };
        let (source, target) = (id(&self.source)?, id(target)?);
        Ok(source.is_some_and(|source| !source.is_empty() && Some(source) == target))
    }

    /// Has the configuration switched. Whoever still waits to write to what is left is refused from just before on, also
    /// when this process dies in between: the next command that uses what is left then takes that back.
    fn switch(&self, to: &str, switch: &mut dyn FnMut() -> Result<(), Failure>) -> Result<(), Failure> {
        self.leave(to)?;
        switch().inspect_err(|_| {
            if let Err(error) = self.source.store.enter() {
                tracing::debug!(%error, "the store stays marked as left until its next use");
            }
        })
    }

    fn leave(&self, to: &str) -> Result<(), Failure> {
        match self.source.store.leave(&departure(&self.source.repository, to))? {
            true => Ok(()),
            false => nothing_uncommitted(&self.source, UNSENT),
        }
    }

    fn refused(&self, error: CopyError) -> Failure {
        copy_failure(
            error,
            "choose an empty place (another directory, bucket or prefix, or `peat datastore namespace set` with a new name), \
             or leave the data where it is with --no-migrate",
        )
    }
}

fn summary(datastore: Option<&dyn Datastore>) -> String {
    datastore.map_or_else(|| "local".to_owned(), Datastore::summary)
}

/// A copy that is not complete.
pub(super) fn copy_failure(error: CopyError, remedy_for_foreign: &str) -> Failure {
    match error {
        CopyError::Hold(error) => error.into(),
        CopyError::Foreign { .. } => {
            Failure::InvalidInput(format!("the datastore has data of its own: {error}; {remedy_for_foreign}"))
        }
        CopyError::Lost { .. } | CopyError::Unverified(_) => Failure::Corrupt(error.to_string()),
        CopyError::Incomplete(_) => {
            Failure::Unusable(format!("{error}. What was copied stays; run the same command again to go on from there"))
        }
    }
}

/// The datastore that is left cannot be read: what else can be done.
fn without_source(failure: Failure) -> Failure {
    match failure.exit_code() {
        ExitCode::DatastoreUnavailable | ExitCode::NotFound | ExitCode::Denied => Failure::Unusable(format!(
            "the data of the datastore that is left cannot be read: {failure}; --no-migrate leaves it where it is"
        )),
        _ => failure,
    }
}

/// As many open files as the system allows.
fn allow_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused, the locks themselves say what is missing.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

pub(super) fn lease_ttl(session: &Session) -> Duration {
    match &session.choice {
        DatastoreChoice::Local { .. } => LEASE_TTL_DEFAULT,
        DatastoreChoice::Shared { configured, .. } => configured.lease_ttl,
    }
}

impl Migrated {
    pub(super) fn json(&self) -> Value {
        json!({
            "from": self.from,
            "dryRun": self.copied.is_none(),
            "found": amount_json(self.plan.all),
            "missing": amount_json(self.plan.missing),
            "copied": self.copied.map(amount_json),
        })
    }

    pub(super) fn show(&self, page: &mut Page) {
        let Self { plan, from, .. } = self;
        let Some(copied) = self.copied else {
            page.text_line(format!("{} of {from} would be copied", amount_words(plan.missing)), Tone::Good);
            return;
        };
        page.text_line(format!("copied {} from {from}", amount_words(copied)), Tone::Good);
        let there = plan.all.versions - plan.missing.versions;
        if there > 0 {
            page.line(format!("{there} versions were there already"));
        }
        page.hint(match &self.left {
            Some(path) => {
                format!("what was copied is still at {}; delete that directory when all is well", path.display())
            }
            None => format!(
                "{from} is as it was: bring the new peat.yaml to everybody who uses it, then delete it by its own means"
            ),
        });
    }
}

pub(super) fn amount_json(amount: Amount) -> Value {
    json!({ "partitions": amount.partitions, "versions": amount.versions, "bytes": amount.bytes })
}

/// `12 versions in 3 partitions (4.0 KiB)`.
pub(super) fn amount_words(amount: Amount) -> String {
    let count = |number: u64, one: &str| if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") };
    let (versions, partitions) = (count(amount.versions, "version"), count(amount.partitions, "partition"));
    format!("{versions} in {partitions} ({})", short_size(amount.bytes))
}
