//! Moving a namespace that may be busy to another name in the same store.
//!
//! 1. The target's root is made: *filling*. Nobody can use it, whatever is in it.
//! 2. The source's root says *moving*: no commits from now on; reading goes on.
//! 3. Every head of the source is sealed (`seal`): writers with a lease are waited for first.
//! 4. Content and index are copied inside the store, and each head is written when everything it names was seen there.
//! 5. The target becomes *active*: that one compare-and-swap is the move. Then the source says *moved*, and where to.
//!
//! Everything but hints lies in the store, so any machine goes on where another ended, and two that do it at once do the
//! same. Until 5 it can be given up by deleting the target: the source is then active again, and its seals are void,
//! because they bear the id of a move that is not.

use std::collections::BTreeSet;

use crate::chain::{Chain, Reading, Swap};
use crate::error::{Error, ErrorKind, Result};
use crate::head::Head;
use crate::keys;
use crate::limits::{COMMIT_ATTEMPTS_MAX, CONCURRENCY};
use crate::meta::{Meta, State};
use crate::ports::{Object, World};
use crate::refusal::{check_state, namespace_absent};
use crate::root::{Address, Root, Snapshot};
use crate::seal::{Mark, Marked, Phase, Standing, amount_of};
use crate::types::{Amount, Step};

impl<W: World> Chain<W> {
    /// One step of the move of `source` to `target`: some seconds of work. Every step may be repeated, by anybody, also
    /// without the state of the step before. `conflict` when the target is taken. Not cancel safe: dropped, the step may or
    /// may not have been done; repeat it.
    pub async fn migrate(&self, source: &str, target: &str, state: Option<&str>) -> Result<Step> {
        keys::check_namespace(source)?;
        keys::check_namespace(target)?;
        if source == target || keys::parent_of(source).is_some() || keys::parent_of(target).is_some() {
            return Err(Error::input(target, "another name than that of the source, and neither a run scope"));
        }
        let mut standing = match state {
            Some(state) => {
                let standing = Standing::parse(state)?;
                if self.resume_move(source, target, &standing.id).await?.is_none() {
                    return Ok(finished(source, target, standing.completed));
                }
                standing
            }
            None => match self.begin_move(source, target).await? {
                Some(id) => return Ok(Standing::new(id).step(format!("{source} takes no commits any more"))),
                None => return Ok(finished(source, target, Amount::default())),
            },
        };
        if standing.phase == Phase::Seal {
            if let Some(step) = self.seal_heads(source, &mut standing).await? {
                return Ok(step);
            }
            standing.enter(Phase::Carry);
            return Ok(standing.step(format!("{source} is sealed")));
        }
        let moved = self.move_partitions(source, target, &mut standing).await;
        if matches!(&moved, Err(error) if error.kind == ErrorKind::Conflict) {
            // It was given up: the source must not be left as it is.
            self.resume_move(source, target, &standing.id).await?;
        }
        if !moved? {
            return Ok(standing.step(format!("moving {source} to {target}")));
        }
        if !self.is_complete(source, target).await? {
            // A head that somebody made before the source was sealed, and that was not listed then.
            let again = Standing { completed: standing.completed, ..Standing::new(standing.id) };
            return Ok(again.step(format!("{source} has another partition")));
        }
        self.check_moving(source, target, &standing.id).await?;
        self.switch(source, target, &standing.id).await?;
        Ok(finished(source, target, standing.completed))
    }

    /// Makes the target and stops the source, or finds both done; answers the id of the move. None when it is over.
    async fn begin_move(&self, source: &str, target: &str) -> Result<Option<String>> {
        let Some(from) = self.find_meta(source).await? else { return Err(namespace_absent(source)) };
        match &from.state {
            State::Active => {}
            State::Moving { to, id } if to == target => return self.move_on(source, target, id).await,
            State::Moved { to, .. } if to == target => return Ok(None),
            _ => check_state(&from)?,
        }
        self.check_no_scopes(source).await?;
        let id = self.new_id();
        let filling = State::Filling { from: source.to_owned(), id: id.clone() };
        match self.find_meta(target).await? {
            // Of a move that never stopped its source, or whose source was set free: it goes on under an id of its own, so
            // that nobody who believes in the old one places heads of before any more.
            Some(Meta { state: State::Filling { from, id: old }, .. }) if from == source => {
                self.change_meta(target, |meta| match &meta.state {
                    State::Filling { id, .. } if *id == old => Ok(Some(filling.clone())),
                    State::Filling { from, .. } if from == source => Ok(None),
                    _ => Err(check_state(meta).err().unwrap_or_else(|| switched(target))),
                })
                .await?;
            }
            _ => {
                let meta = Meta::new(target, from.created_at_ms, self.new_id());
                self.claim(Meta { state: filling, ..meta }).await?;
            }
        }
        let moving = State::Moving { to: target.to_owned(), id: id.clone() };
        let changed = self.change_meta(source, |meta| match &meta.state {
            State::Active => Ok(Some(moving.clone())),
            // By this command, or by another one for the same move: it goes on under that id.
            State::Moving { to, .. } | State::Moved { to, .. } if to == target => Ok(None),
            _ => Err(check_state(meta).err().unwrap_or_else(|| namespace_absent(source))),
        });
        let id = match changed.await {
            Ok(Meta { state: State::Moving { id, .. } | State::Moved { id, .. }, .. }) => id,
            Ok(_) => id,
            Err(refused) => {
                if matches!(refused.kind, ErrorKind::Denied | ErrorKind::Conflict) {
                    // Somebody else moves it elsewhere: nothing is to be left of this target. What fails is seen by `list`.
                    let _ = self.drop_target(target, &id).await;
                }
                return Err(refused);
            }
        };
        self.move_on(source, target, &id).await
    }

    /// Goes on with a move whose source takes no commits any more, unless somebody opened a run scope before that was so:
    /// then it is given up. Whoever opens one later looks at the root afterwards, and refuses.
    async fn move_on(&self, source: &str, target: &str, id: &str) -> Result<Option<String>> {
        // Whoever gives it up stops the target first and looks at the source afterwards.
        let Some(id) = self.resume_move(source, target, id).await? else { return Ok(None) };
        match self.check_no_scopes(source).await {
            Ok(()) => Ok(Some(id)),
            Err(refused) => {
                if refused.kind == ErrorKind::Conflict {
                    self.abandon(target, &id).await?;
                }
                Err(refused)
            }
        }
    }

    /// Gives a move up that never stopped its source, so that nothing is in its target.
    async fn drop_target(&self, target: &str, id: &str) -> Result<()> {
        self.change_meta(target, |meta| match &meta.state {
            State::Filling { id: filling, .. } if filling == id => Ok(Some(State::Deleted)),
            _ => Ok(None),
        })
        .await
        .map(drop)
    }

    /// Whether the move goes on: none when it is over. A move that was given up in the middle is so here, too.
    async fn resume_move(&self, source: &str, target: &str, id: &str) -> Result<Option<String>> {
        let Reading::Found(found) = self.read_root(Address::new(target, keys::STRUCTURAL), None).await? else {
            // Roots are not deleted: the store does not show what it has.
            return Err(namespace_absent(target));
        };
        let Root::Meta(there) = found.root else { return Err(namespace_absent(target)) };
        match &there.state {
            State::Filling { id: filling, .. } if filling == id => {
                self.check_moving(source, target, id).await?;
                Ok(Some(id.to_owned()))
            }
            State::Filling { from, id: other } if from == source && self.is_moving(source, id).await? => {
                // Of two that began at once this one stopped the source.
                let ours = State::Filling { from: source.to_owned(), id: id.to_owned() };
                self.change_meta(target, |meta| match &meta.state {
                    State::Filling { id: filling, .. } if filling == other => Ok(Some(ours.clone())),
                    _ => Ok(None),
                })
                .await?;
                Err(Error::new(
                    ErrorKind::Unavailable(None),
                    target,
                    "another command for the same move began at once; go on",
                ))
            }
            _ if there.filled_by.as_deref() == Some(id) => {
                self.switch(source, target, id).await?;
                Ok(None)
            }
            _ => {
                self.reactivate(source, id).await?;
                let message = format!("the move of {source} to {target} was given up; {source} is in use again");
                Err(Error::new(ErrorKind::Conflict, source, message))
            }
        }
    }

    async fn is_moving(&self, source: &str, id: &str) -> Result<bool> {
        let state = self.find_meta(source).await?.map(|meta| meta.state);
        Ok(matches!(state, Some(State::Moving { id: moving, .. }) if moving == id))
    }

    /// Refuses to go on where the source takes commits again, whoever made it so: a repair of its root, for one.
    async fn check_moving(&self, source: &str, target: &str, id: &str) -> Result<()> {
        match self.find_meta(source).await?.map(|meta| meta.state) {
            // Or somebody else has just come to its end.
            Some(State::Moving { id: moving, .. } | State::Moved { id: moving, .. }) if moving == id => return Ok(()),
            _ => {}
        }
        let message = format!("{source} is not on its way to {target} any more; run the command again to begin anew");
        Err(Error::new(ErrorKind::Conflict, source, message))
    }

    /// Gives a move up before its switch: from then on the target cannot become active, and the source is again.
    pub(crate) async fn abandon(&self, target: &str, id: &str) -> Result<()> {
        let deleting = State::Deleting { id: self.new_id(), erases: true };
        let mut source = None;
        if let Some(Meta { state: State::Filling { from, .. }, .. }) = self.find_meta(target).await? {
            source = Some(from);
        }
        self.change_meta(target, |meta| match &meta.state {
            State::Filling { id: filling, .. } if filling == id => Ok(Some(deleting.clone())),
            State::Deleting { .. } => Ok(None),
            _ => Err(check_state(meta).err().unwrap_or_else(|| switched(target))),
        })
        .await?;
        match source {
            Some(source) => self.reactivate(&source, id).await,
            None => Ok(()),
        }
    }

    async fn reactivate(&self, source: &str, id: &str) -> Result<()> {
        let reactivated = self.change_meta(source, |meta| match &meta.state {
            State::Moving { id: moving, .. } if moving == id => Ok(Some(State::Active)),
            _ => Ok(None),
        });
        match reactivated.await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// Moves partitions until all are done; false when the time was over before.
    async fn move_partitions(&self, source: &str, target: &str, standing: &mut Standing) -> Result<bool> {
        let deadline_ms = self.step_deadline_ms();
        loop {
            let listing = self.world.list(&keys::index_prefix(source), standing.listing.as_deref()).await?;
            let after = standing.after.clone().unwrap_or_default();
            let is_left = |object: &&Object| {
                keys::partition_of_head(source, &object.key).is_some_and(|partition| partition > after.as_str())
            };
            let mut heads: Vec<&Object> = listing.objects.iter().filter(is_left).collect();
            heads.sort_by(|left, right| {
                let partition = |object: &Object| keys::partition_of_head(source, &object.key).map(str::to_owned);
                partition(left).cmp(&partition(right))
            });
            for group in heads.chunks(CONCURRENCY) {
                let moves = group.iter().map(|object| {
                    self.move_partition((source, target), object, listing.store_time_ms, &standing.id, deadline_ms)
                });
                for (object, moved) in group.iter().zip(self.all(moves.collect()).await?) {
                    let Some(amount) = moved else { return Ok(false) };
                    standing.completed += amount;
                    standing.after = keys::partition_of_head(source, &object.key).map(str::to_owned);
                }
                if self.is_over(deadline_ms) {
                    return Ok(false);
                }
            }
            match listing.cursor {
                None => return Ok(true),
                Some(next) => {
                    standing.listing = Some(next);
                    standing.after = None;
                }
            }
        }
    }

    /// Moves one partition; none when the time was over before.
    async fn move_partition(
        &self,
        (source, target): (&str, &str),
        object: &Object,
        store_time_ms: u64,
        id: &str,
        deadline_ms: u64,
    ) -> Result<Option<Amount>> {
        let Some(partition) = keys::partition_of_head(source, &object.key) else { return Ok(Some(Amount::default())) };
        let head = match self.mark_head(source, object, store_time_ms, Mark::Sealed(id)).await? {
            Marked::Done(head) => head,
            Marked::Gone => return Ok(Some(Amount::default())),
            // Made after the source stopped: its holder asks the root, and gives it up.
            Marked::Leased(_) => return Ok(None),
        };
        let (from, to) = (Address::new(source, partition), Address::new(target, partition));
        if !self.carry_content(from, to, &head, deadline_ms).await? {
            return Ok(None);
        }
        self.place_head(to, &head, id).await?;
        Ok(Some(amount_of(&head)))
    }

    /// Writes the head of a partition whose content is all there. What others wrote under the name while nobody may use the
    /// target is replaced: it can hold no commit.
    async fn place_head(&self, to: Address<'_>, head: &Head, id: &str) -> Result<()> {
        let mut there: Option<Box<Snapshot>> = None;
        // Nobody writes it before the target is in use.
        let placed = Head { guarded: Some(id.to_owned()), ..head.moved() };
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let etag = there.as_ref().map(|there| there.etag.clone());
            there = match self.swap(to, Root::Head(placed.clone()), etag.as_deref()).await? {
                Swap::Done(_) => return Ok(()),
                Swap::Changed(there) => there,
            };
            if let Some(Root::Head(found)) = there.as_ref().map(|there| &there.root)
                && found.guarded == placed.guarded
                && found.same_content(head)
            {
                return Ok(());
            }
            // Asked after the head was read: what is committed once the target is in use makes the swap fail.
            match self.find_meta(to.namespace).await? {
                Some(Meta { state: State::Filling { id: filling, .. }, .. }) if filling == id => {}
                Some(meta) if meta.filled_by.as_deref() == Some(id) => return Ok(()),
                _ => return Err(given_up(to.namespace)),
            }
        }
        let message = format!("{} could not be written; run the command again", to.key());
        Err(Error::new(ErrorKind::Unavailable(None), to.key(), message))
    }

    /// Whether every partition of the source has its head in the target.
    async fn is_complete(&self, source: &str, target: &str) -> Result<bool> {
        let there: BTreeSet<String> = self.partitions(target).await?.into_iter().collect();
        Ok(self.partitions(source).await?.iter().all(|partition| there.contains(partition)))
    }

    /// All partitions of a namespace.
    async fn partitions(&self, namespace: &str) -> Result<Vec<String>> {
        let mut partitions = Vec::new();
        let mut cursor = None;
        loop {
            let listing = self.world.list(&keys::index_prefix(namespace), cursor.as_deref()).await?;
            let names = listing.objects.iter().filter_map(|object| keys::partition_of_head(namespace, &object.key));
            partitions.extend(names.map(str::to_owned));
            match listing.cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(partitions),
            }
        }
    }

    /// The move itself, then the sign at the old place.
    async fn switch(&self, source: &str, target: &str, id: &str) -> Result<()> {
        self.change_meta(target, |meta| match &meta.state {
            State::Filling { id: filling, .. } if filling == id => Ok(Some(State::Active)),
            _ if meta.filled_by.as_deref() == Some(id) => Ok(None),
            _ => Err(check_state(meta).err().unwrap_or_else(|| switched(target))),
        })
        .await?;
        let moved = State::Moved { to: target.to_owned(), id: id.to_owned() };
        let signed = self.change_meta(source, |meta| match &meta.state {
            State::Moving { id: moving, .. } if moving == id => Ok(Some(moved.clone())),
            _ => Ok(None),
        });
        match signed.await {
            // Somebody else finished it and deleted what was left.
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

fn finished(source: &str, target: &str, completed: Amount) -> Step {
    Step {
        state: String::new(),
        done: true,
        message: format!("{source} was moved to {target}"),
        waiting: false,
        completed,
        total: Some(completed),
        conflicts: Vec::new(),
    }
}

fn given_up(target: &str) -> Error {
    let message = format!("the move to {target} was given up meanwhile; nothing was moved");
    Error::new(ErrorKind::Conflict, target, message)
}

fn switched(target: &str) -> Error {
    let message = format!("{target} is in use by now: the move that filled it is done, or another one is");
    Error::new(ErrorKind::Conflict, target, message)
}
