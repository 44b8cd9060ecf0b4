//! Run scopes: short-lived namespaces that read what their parent has. The name tells the parent (`keys::parent_of`).
//!
//! A partition that nobody has written in the scope is the parent's, read there. The first who wants its lease makes the
//! scope's own head: a copy of the parent's, whose segments and content stay where they are. They are found because
//! whatever is not in the scope is looked for in the parent: their names are random or digests, so they cannot be taken
//! for others. From then on the scope has its own order of commits, with its own lease.

use std::collections::BTreeSet;

use crate::chain::{Chain, Reading, Swap};
use crate::error::{Error, ErrorKind, Result};
use crate::head::Head;
use crate::keys;
use crate::lease::{lease_of, lease_snapshot};
use crate::limits::COMMIT_ATTEMPTS_MAX;
use crate::ports::{Object, World};
use crate::refusal::{lease_gone, lease_lost};
use crate::root::{Address, Root, Snapshot};
use crate::types::Lease;

/// What became of a copy of the parent's head.
#[derive(Debug)]
pub(crate) enum Copied {
    /// The parent's head is still the one that was copied.
    Current,
    /// It was not: this is what is there now, to be looked at again.
    Changed(Option<Box<Snapshot>>),
}

impl<W: World> Chain<W> {
    /// The head of a partition that nobody has used in this namespace yet. No request, but one in a run scope.
    pub(crate) async fn new_head(&self, address: Address<'_>) -> Result<Head> {
        let own = Head::new(address.partition, self.new_id());
        let Some(parent) = keys::parent_of(address.namespace) else { return Ok(own) };
        match self.read_root(Address::new(parent, address.partition), None).await? {
            Reading::Found(found) => match found.root {
                Root::Head(parents) => Ok(parents.inherited_by_scope(own.lineage)),
                Root::Meta(_) => Ok(own),
            },
            Reading::Absent | Reading::NotModified => Ok(own),
        }
    }

    /// Looks whether the parent's head is still the one that the scope's head was copied from, and copies it again if not.
    ///
    /// A collection of the parent changes the parent's head first, looks then for heads of scopes, and deletes only then. So
    /// either it sees the copy and deletes nothing, or whoever made the copy sees here that the parent's head has changed.
    /// One request.
    pub(crate) async fn confirm_copy(&self, address: Address<'_>, copy: &Snapshot) -> Result<Copied> {
        let Root::Head(head) = &copy.root else { return Ok(Copied::Current) };
        let (Some(copied_at), Some(parent)) = (head.copied_at, keys::parent_of(address.namespace)) else {
            return Ok(Copied::Current);
        };
        let Reading::Found(found) = self.read_root(Address::new(parent, address.partition), None).await? else {
            // A namespace with scopes is not deleted, and heads go with their namespaces only.
            return Err(Error::corrupt(
                &keys::head(parent, address.partition),
                "its run scope names it, but it does not exist",
            ));
        };
        let Root::Head(parents) = found.root else { return Ok(Copied::Current) };
        if parents.epoch == copied_at {
            return Ok(Copied::Current);
        }
        let again = parents.inherited_by_scope(head.lineage.clone()).in_place_of(head);
        Ok(Copied::Changed(match self.swap(address, Root::Head(again), Some(&copy.etag)).await? {
            Swap::Done(done) => Some(done),
            Swap::Changed(current) => current,
        }))
    }

    /// A lease that was just taken, of a head whose copy is confirmed. No request, but one in a run scope until the first
    /// commit.
    pub(crate) async fn confirmed(&self, address: Address<'_>, lease: Lease) -> Result<Lease> {
        if keys::parent_of(address.namespace).is_none() {
            return Ok(lease);
        }
        let mut found = Box::new(lease_snapshot(address, &lease)?);
        for attempt in 0..COMMIT_ATTEMPTS_MAX {
            match self.confirm_copy(address, &found).await? {
                Copied::Current => return Ok(lease_of(address.partition, &found)),
                Copied::Changed(None) => return Err(lease_gone(address)),
                Copied::Changed(Some(current)) => found = current,
            }
            if found.root.lease().is_none_or(|held| held.nonce != lease.nonce) {
                return Err(lease_lost(address, &found.root));
            }
            self.pause(attempt.min(4), None).await;
        }
        let _ = self.release(address.namespace, &lease_of(address.partition, &found)).await;
        let message = format!("{} is changed in the parent faster than it can be copied; try again", address.partition);
        Err(Error::new(ErrorKind::Held, address.partition, message))
    }

    /// The partitions of a namespace that open run scopes have heads of their own for: those may name what the parent's head
    /// does not name any more. One listing where there are no scopes, and one read and one listing a scope.
    pub(crate) async fn read_by_scopes(&self, namespace: &str) -> Result<BTreeSet<String>> {
        let mut read = BTreeSet::new();
        if keys::parent_of(namespace).is_some() {
            return Ok(read);
        }
        for scope in self.open_scopes(namespace).await? {
            let heads = self.own_heads(&scope, namespace).await?;
            let partitions = heads.iter().filter_map(|head| keys::partition_of_head(namespace, &head.key));
            read.extend(partitions.map(str::to_owned));
        }
        Ok(read)
    }

    /// A root as it is now; where a run scope has none, its parent's.
    pub(crate) async fn read_through(&self, address: Address<'_>, unless_etag: Option<&str>) -> Result<Reading> {
        match (self.read_root(address, unless_etag).await?, keys::parent_of(address.namespace)) {
            (Reading::Absent, Some(parent)) => {
                self.read_root(Address::new(parent, address.partition), unless_etag).await
            }
            (reading, _) => Ok(reading),
        }
    }

    /// All heads of a run scope, as the parent's index would list them. A scope has as many as were written in it.
    pub(crate) async fn own_heads(&self, namespace: &str, parent: &str) -> Result<Vec<Object>> {
        let mut heads = Vec::new();
        let mut cursor = None;
        loop {
            let listing = self.world.list(&keys::index_prefix(namespace), cursor.as_deref()).await?;
            heads.extend(listing.objects.into_iter().filter_map(|object| {
                let partition = keys::partition_of_head(namespace, &object.key)?;
                Some(Object { key: keys::head(parent, partition), ..object })
            }));
            match listing.cursor {
                Some(next) => cursor = Some(next),
                None => return Ok(heads),
            }
        }
    }
}
