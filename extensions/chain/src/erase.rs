//! Deleting a namespace: its state says so first, then its heads are sealed, so that nothing is committed any more, and then
//! everything goes: heads first, the root last. What was moved away leaves its root behind, which says where it is.

use crate::chain::Chain;
use crate::error::{Error, ErrorKind, Result};
use crate::keys;
use crate::meta::State;
use crate::ports::World;
use crate::refusal::{check_state, namespace_absent};
use crate::seal::{Phase, Standing};
use crate::types::{Amount, Step};

impl<W: World> Chain<W> {
    /// One step of the deletion of a namespace: some seconds of work. Every step may be repeated, also without the state of
    /// the step before. Of a namespace that is being filled it gives the move up: the source is in use again. Of one that was
    /// moved it deletes what is left, but for the root that says where to. One that is active is deleted only when it is
    /// said to be `in_use`, or is a run scope: a move may have ended a moment ago. Not cancel safe, like every step.
    pub async fn delete_namespace(&self, name: &str, in_use: bool, state: Option<&str>) -> Result<Step> {
        keys::check_namespace(name)?;
        let mut standing = match state {
            Some(state) => Standing::parse(state)?,
            None => self.begin_deletion(name, in_use || keys::parent_of(name).is_some()).await?,
        };
        if standing.phase == Phase::Seal {
            if let Some(step) = self.seal_heads(name, &mut standing).await? {
                return Ok(step);
            }
            standing.enter(Phase::Erase);
            // What was counted are versions; what is deleted are objects, whose number only the end tells.
            standing.total = Amount::default();
        }
        self.erase(name, standing).await
    }

    async fn begin_deletion(&self, name: &str, in_use: bool) -> Result<Standing> {
        let Some(meta) = self.find_meta(name).await? else { return Err(namespace_absent(name)) };
        if meta.state == State::Active && keys::parent_of(name).is_none() {
            self.check_no_scopes(name).await?;
        }
        if let State::Filling { id, .. } = &meta.state {
            self.abandon(name, id).await?;
        }
        let is_scope = keys::parent_of(name).is_some();
        let deleting = State::Deleting { id: self.new_id(), erases: is_scope };
        let meta = self.change_meta(name, |meta| match &meta.state {
            State::Active if !in_use => {
                let message = format!("namespace {name} is in use; to delete it with everything in it say --force");
                Err(Error::new(ErrorKind::Conflict, name, message))
            }
            State::Active | State::Folding { .. } => Ok(Some(deleting.clone())),
            State::Deleting { .. } | State::Moved { .. } => Ok(None),
            State::Moving { to, .. } => {
                let message = format!(
                    "namespace {name} is on its way to {to}: finish that with `peat datastore namespace migrate {to}`, or \
                     give it up with `peat datastore namespace delete {to}`"
                );
                Err(Error::new(ErrorKind::Conflict, name, message))
            }
            State::Filling { .. } | State::Deleted => {
                Err(check_state(meta).err().unwrap_or_else(|| namespace_absent(name)))
            }
        });
        match meta.await?.state {
            State::Deleting { id, erases: true } | State::Moved { id, .. } => Ok(Standing::new(id)),
            State::Deleting { id, erases: false } => self.begin_erasing(name, id).await,
            _ => Err(namespace_absent(name)),
        }
    }

    /// From now on nobody can open a run scope. Where somebody did a moment before, the namespace is active again; otherwise
    /// it is settled that what is in it goes. Of several that look at once the first to write decides.
    async fn begin_erasing(&self, name: &str, id: String) -> Result<Standing> {
        let looked = match self.check_no_scopes(name).await {
            Err(failed) if failed.kind != ErrorKind::Conflict => return Err(failed),
            looked => looked,
        };
        let next = match &looked {
            Ok(()) => State::Deleting { id: id.clone(), erases: true },
            Err(_) => State::Active,
        };
        let decided = self.change_meta(name, |meta| match &meta.state {
            State::Deleting { id: deleting, erases: false } if *deleting == id => Ok(Some(next.clone())),
            _ => Ok(None),
        });
        match (decided.await?.state, looked) {
            (State::Deleting { id: deleting, erases: true }, _) if deleting == id => Ok(Standing::new(id)),
            (_, Err(refused)) => Err(refused),
            _ => Err(Error::new(
                ErrorKind::Conflict,
                name,
                format!("the deletion of {name} was given up by somebody else"),
            )),
        }
    }

    /// Deletes objects until none is left or the time is over; then the root.
    pub(crate) async fn erase(&self, name: &str, mut standing: Standing) -> Result<Step> {
        let deadline_ms = self.step_deadline_ms();
        let root = keys::meta(name);
        loop {
            if !self.is_doomed(name, &standing.id).await? {
                // Somebody else finished it, and the name may be another namespace's by now.
                break;
            }
            let listing = self.world.list(&keys::namespace_prefix(name), None).await?;
            let doomed: Vec<_> = listing.objects.iter().filter(|object| object.key != root).collect();
            if doomed.is_empty() && listing.cursor.is_none() {
                self.end_deletion(name, &standing.id).await?;
                break;
            }
            let keys: Vec<String> = doomed.iter().map(|object| object.key.clone()).collect();
            if let Some((_, error)) = self.world.delete(&keys).await?.into_iter().next() {
                return Err(error);
            }
            let heads = keys.iter().filter(|key| keys::partition_of_head(name, key).is_some()).count() as u64;
            let bytes = doomed.iter().map(|object| object.size).sum();
            standing.completed += Amount { partitions: heads, items: keys.len() as u64, bytes };
            if self.is_over(deadline_ms) {
                return Ok(Step { total: None, ..standing.step(format!("deleting {name}")) });
            }
        }
        Ok(Step {
            done: true,
            total: Some(standing.completed),
            ..standing.step(format!("namespace {name} was deleted"))
        })
    }

    /// Whether the operation with this id is what the namespace is deleted by.
    async fn is_doomed(&self, name: &str, id: &str) -> Result<bool> {
        Ok(match self.find_meta(name).await?.map(|meta| meta.state) {
            Some(
                State::Deleting { id: by, erases: true } | State::Folding { id: by } | State::Moved { id: by, .. },
            ) => by == id,
            _ => false,
        })
    }

    /// Nothing is left: the root says so.
    async fn end_deletion(&self, name: &str, id: &str) -> Result<()> {
        let ended = self.change_meta(name, |meta| match &meta.state {
            State::Deleting { id: by, erases: true } | State::Folding { id: by } if by == id => {
                Ok(Some(State::Deleted))
            }
            _ => Ok(None),
        });
        ended.await.map(drop)
    }
}
