//! Namespaces of one store: what there is, making one, and the one way the state of a namespace changes.

use crate::chain::{Chain, Reading, Swap};
use crate::error::{Error, ErrorKind, Result};
use crate::gate::Others;
use crate::keys;
use crate::limits::{COMMIT_ATTEMPTS_MAX, SCOPE_REMEMBERED_MS};
use crate::meta::{Meta, State};
use crate::ports::World;
use crate::refusal::{check_state, described, namespace_absent};
use crate::root::{Address, Root};
use crate::seal::Standing;
use crate::types::{Namespace, NamespacePage, NamespaceState};

impl<W: World> Chain<W> {
    /// A page of namespaces: one listing, and one read each. Takes no lock. Roots of run scopes that were deleted long ago go.
    pub async fn list_namespaces(&self, cursor: Option<&str>) -> Result<NamespacePage> {
        let folders = self.world.folders("", cursor).await?;
        let names = folders.names.iter().filter_map(|folder| folder.strip_suffix('/'));
        let names = names.filter(|name| keys::check_namespace(name).is_ok());
        let roots = names.map(|name| self.fresh_root(Address::new(name, keys::STRUCTURAL)));
        let mut namespaces = Vec::new();
        let mut forgotten = Vec::new();
        for found in self.all(roots.collect()).await?.into_iter().flatten() {
            let Root::Meta(meta) = &found.root else { continue };
            if meta.state != State::Deleted {
                namespaces.push(described_namespace(meta, folders.store_time_ms));
            } else if meta.parent.is_some() && found.age.is_some_and(|age| age.store_ms > SCOPE_REMEMBERED_MS) {
                forgotten.push(keys::meta(&meta.namespace));
            }
        }
        if !forgotten.is_empty() {
            // What fails is tried again by the next listing.
            let _ = self.world.delete(&forgotten).await;
        }
        Ok(NamespacePage { namespaces, cursor: folders.cursor })
    }

    /// Makes a namespace; with a parent a run scope of it. `conflict` when the name is taken. Three requests, two more for
    /// a scope. Not cancel safe: dropped, it may or may not be there.
    pub async fn create_namespace(
        &self,
        name: &str,
        parent: Option<&str>,
        expires_at_ms: Option<u64>,
    ) -> Result<Namespace> {
        keys::check_namespace(name)?;
        if parent != keys::parent_of(name) || name.matches(".scope-").count() > 1 {
            let rule = "a run scope, and nothing else, is named PARENT.scope-ID, and its parent is none itself";
            return Err(Error::input(name, rule));
        }
        if self.store_record().await?.is_none() {
            return Err(namespace_absent(name));
        }
        if let Some(parent) = parent {
            self.check_active(parent).await?;
        }
        let meta = Meta { expires_at_ms, ..Meta::new(name, self.world.now_ms(), self.new_id()) };
        let made = self.claim(meta).await?;
        // Whoever moves or deletes the parent writes its root first and looks for scopes afterwards.
        if let Some(parent) = parent
            && let Err(refused) = self.check_active(parent).await
        {
            if matches!(refused.kind, ErrorKind::Denied | ErrorKind::NotFound) {
                self.change_meta(name, |meta| Ok((meta.state == State::Active).then_some(State::Deleted))).await?;
            }
            return Err(refused);
        }
        Ok(described_namespace(&made, made.created_at_ms))
    }

    /// Writes the root of a namespace whose name is free: nobody has it, it was deleted, or it was moved away and what was
    /// left deleted.
    pub(crate) async fn claim(&self, mut meta: Meta) -> Result<Meta> {
        let name = meta.namespace.clone();
        let address = Address::new(&name, keys::STRUCTURAL);
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let found = self.read_root(address, None).await?;
            let etag = match &found {
                Reading::Absent | Reading::NotModified => None,
                Reading::Found(found) => match &found.root {
                    Root::Meta(there) if matches!(there.state, State::Deleted | State::Moved { .. }) => {
                        meta.epoch = there.epoch + 1;
                        Some((found.etag.clone(), there))
                    }
                    Root::Meta(there) => return Err(taken(there)),
                    Root::Head(_) => return Err(namespace_absent(&name)),
                },
            };
            if !self.is_empty(&name).await? {
                match etag {
                    Some((_, there)) if there.state != State::Deleted => return Err(taken(there)),
                    etag => self.clear(&name, etag.map(|(etag, _)| etag)).await?,
                }
                continue;
            }
            let etag = etag.map(|(etag, _)| etag);
            if let Swap::Done(done) = self.swap(address, Root::Meta(meta.clone()), etag.as_deref()).await?
                && let Root::Meta(meta) = done.root
            {
                return Ok(meta);
            }
        }
        Err(unwritten(&name))
    }

    /// Nothing but its root is under the name of a namespace.
    async fn is_empty(&self, name: &str) -> Result<bool> {
        let listing = self.world.list(&keys::namespace_prefix(name), None).await?;
        let root = keys::meta(name);
        Ok(listing.cursor.is_none() && listing.objects.iter().all(|object| object.key == root))
    }

    /// Deletes what lies under the name of a namespace that is not there: a request that was on its way when it was deleted
    /// may have written a head, which must not be taken for one of the next namespace. Under a root that lets nobody write.
    async fn clear(&self, name: &str, etag: Option<String>) -> Result<()> {
        let id = self.new_id();
        let deleting =
            Meta { state: State::Deleting { id: id.clone(), erases: true }, ..Meta::new(name, 0, self.new_id()) };
        let address = Address::new(name, keys::STRUCTURAL);
        let Swap::Done(_) = self.swap(address, Root::Meta(deleting), etag.as_deref()).await? else { return Ok(()) };
        let mut standing = Standing::new(id);
        loop {
            let step = self.erase(name, standing).await?;
            if step.done {
                return Ok(());
            }
            standing = Standing::parse(&step.state)?;
        }
    }

    /// The root of a namespace, if it is there.
    pub(crate) async fn find_meta(&self, namespace: &str) -> Result<Option<Meta>> {
        Ok(match self.read_root(Address::new(namespace, keys::STRUCTURAL), None).await? {
            Reading::Found(found) => match found.root {
                Root::Meta(meta) if meta.state != State::Deleted => Some(meta),
                Root::Meta(_) | Root::Head(_) => None,
            },
            Reading::Absent | Reading::NotModified => None,
        })
    }

    /// Changes the state of a namespace by compare-and-swap: `next` says into which, or that it is so already. `held` while
    /// another process has the structural lease.
    pub(crate) async fn change_meta(
        &self,
        namespace: &str,
        next: impl Fn(&Meta) -> Result<Option<State>>,
    ) -> Result<Meta> {
        let address = Address::new(namespace, keys::STRUCTURAL);
        let Reading::Found(mut found) = self.read_root(address, None).await? else {
            return Err(namespace_absent(namespace));
        };
        for attempt in 0..COMMIT_ATTEMPTS_MAX {
            let Root::Meta(meta) = &found.root else { return Err(namespace_absent(namespace)) };
            let Some(state) = next(meta)? else { return Ok(meta.clone()) };
            if let Others::Living(lease) = self.others_lease(&found) {
                let message = format!("namespace {namespace} is held by {}", described(&lease.holder));
                return Err(Error::new(ErrorKind::Held, namespace, message));
            }
            let mut changed = meta.clone();
            if let State::Active = state
                && let State::Filling { id, .. } = &meta.state
            {
                changed.filled_by = Some(id.clone());
            }
            changed.state = state;
            match self.swap(address, Root::Meta(changed), Some(&found.etag)).await? {
                Swap::Done(done) => found = done,
                Swap::Changed(Some(current)) => found = current,
                Swap::Changed(None) => return Err(namespace_absent(namespace)),
            }
            if attempt > 0 {
                self.pause(attempt.min(4), None).await;
            }
        }
        Err(unwritten(namespace))
    }

    /// Run scopes of a namespace that are open.
    pub(crate) async fn open_scopes(&self, namespace: &str) -> Result<Vec<String>> {
        let prefix = keys::scope_prefix(namespace);
        let mut open = Vec::new();
        let mut cursor = None;
        loop {
            let folders = self.world.folders(&prefix, cursor.as_deref()).await?;
            let names = folders.names.iter().filter_map(|folder| folder.strip_suffix('/'));
            let metas = self.all(names.map(|name| self.find_meta(name)).collect()).await?;
            open.extend(metas.into_iter().flatten().map(|meta| meta.namespace));
            cursor = folders.cursor;
            if cursor.is_none() {
                return Ok(open);
            }
        }
    }

    /// Refuses what would take the parent away from open run scopes.
    pub(crate) async fn check_no_scopes(&self, namespace: &str) -> Result<()> {
        let open = self.open_scopes(namespace).await?;
        let Some(first) = open.first() else { return Ok(()) };
        let others = if open.len() > 1 { format!(" and {} more", open.len() - 1) } else { String::new() };
        let message = format!(
            "namespace {namespace} has open run scopes ({first}{others}); fold or discard them first: `peat run-scope list`"
        );
        Err(Error::new(ErrorKind::Conflict, namespace, message))
    }
}

/// The error for a name that somebody has.
fn taken(meta: &Meta) -> Error {
    let name = &meta.namespace;
    let message = match check_state(meta) {
        Ok(()) => format!("namespace {name} exists already; choose another name, or delete it first"),
        Err(refusal) => format!("namespace {name} exists already: {refusal}"),
    };
    Error::new(ErrorKind::Conflict, name, message)
}

fn unwritten(namespace: &str) -> Error {
    let message = format!(
        "the root of namespace {namespace} could not be written in {COMMIT_ATTEMPTS_MAX} tries; run the command again"
    );
    Error::new(ErrorKind::Unavailable(None), namespace, message)
}

fn described_namespace(meta: &Meta, now_ms: u64) -> Namespace {
    let state = match &meta.state {
        State::Active => NamespaceState::Active,
        State::Filling { from, .. } => NamespaceState::Filling(from.clone()),
        State::Moving { to, .. } => NamespaceState::Moving(to.clone()),
        State::Moved { to, .. } => NamespaceState::Moved(to.clone()),
        State::Folding { .. } => NamespaceState::Folding,
        State::Deleting { .. } | State::Deleted => NamespaceState::Deleting,
    };
    Namespace {
        name: meta.namespace.clone(),
        state,
        created_at_ms: meta.created_at_ms,
        parent: meta.parent.clone(),
        expires_at_ms: meta.expires_at_ms,
        expired: meta.expires_at_ms.is_some_and(|expires_ms| now_ms >= expires_ms),
    }
}
