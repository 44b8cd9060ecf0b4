//! What lies above the heads, made again: the store's record, and the namespace root, whose state is what matters.

use super::Repaired;
use crate::chain::{Chain, Reading, Swap};
use crate::error::{Error, ErrorKind, Result};
use crate::keys;
use crate::meta::{Meta, State, StoreRecord};
use crate::ports::{Condition, World};
use crate::root::{Address, Root};
use crate::setup::KNOWN_STORE;

impl<W: World> Chain<W> {
    /// Puts the store's record back as this machine has read it once: it never changes.
    pub(super) async fn repair_store_record(&self, dry_run: bool, repaired: &mut Repaired) -> Result<()> {
        let error = match self.store_record().await {
            Ok(Some(_)) => return Ok(()),
            Ok(None) => Error::corrupt(keys::STORE_RECORD, "it does not exist"),
            Err(error) if error.kind == ErrorKind::Corrupt => error,
            Err(error) => return Err(error),
        };
        let Some(bytes) = self.world.cached(KNOWN_STORE).await?.filter(|bytes| StoreRecord::decode(bytes).is_ok())
        else {
            let message = format!("{}: this machine has never read it; repair it on one that has", error.damage());
            return Err(Error::new(ErrorKind::Corrupt, keys::STORE_RECORD, message));
        };
        repaired.notes.push(format!("{} is put back", keys::STORE_RECORD));
        if dry_run {
            return Ok(());
        }
        let condition = self.etag_of(keys::STORE_RECORD).await?.map_or(Condition::Absent, Condition::Matches);
        match self.world.put(keys::STORE_RECORD, &self.world.blob(&bytes).await?, condition).await {
            Err(error) if error.kind == ErrorKind::Conflict => Err(changed(keys::STORE_RECORD)),
            answer => answer.map(drop),
        }
    }

    /// Makes a damaged or missing namespace root again: as this machine has last seen it, or active. Refused where it may have
    /// been moved or deleted.
    pub(super) async fn repair_root(&self, namespace: &str, dry_run: bool, repaired: &mut Repaired) -> Result<()> {
        let address = Address::new(namespace, keys::STRUCTURAL);
        match self.read_root(address, None).await {
            Ok(Reading::Found(_)) => return Ok(()),
            Err(error) if error.kind != ErrorKind::Corrupt => return Err(error),
            _ => {}
        }
        let etag = self.etag_of(&address.key()).await?;
        let cached = self.cached_root(address).await.map(|found| found.root);
        // Above every epoch that was counted, so that nobody who held the lease before takes it for theirs.
        let now_ms = self.world.now_ms();
        let meta = match cached {
            Some(Root::Meta(meta)) => Meta { epoch: now_ms.max(meta.epoch + 1), lease: None, next: None, ..meta },
            _ => {
                self.check_unsealed(namespace).await?;
                Meta { epoch: now_ms, ..Meta::new(namespace, now_ms, String::new()) }
            }
        };
        let state = if meta.state == State::Active { "active" } else { "as this machine has last seen it" };
        repaired.notes.push(format!("the root of namespace {namespace} is made again, {state}"));
        if dry_run {
            return Ok(());
        }
        match self.swap(address, Root::Meta(meta), etag.as_deref()).await? {
            Swap::Done(_) => Ok(()),
            Swap::Changed(_) => Err(changed(&address.key())),
        }
    }

    /// No head is sealed: nobody was moving, folding or deleting the namespace.
    async fn check_unsealed(&self, namespace: &str) -> Result<()> {
        let mut cursor = None;
        loop {
            let listing = self.world.list(&keys::index_prefix(namespace), cursor.as_deref()).await?;
            for object in &listing.objects {
                let Some(partition) = keys::partition_of_head(namespace, &object.key) else { continue };
                let found = match self.read_root(Address::new(namespace, partition), None).await {
                    Ok(Reading::Found(found)) => found,
                    Ok(_) => continue,
                    Err(error) if error.kind == ErrorKind::Corrupt => continue,
                    Err(error) => return Err(error),
                };
                if matches!(&found.root, Root::Head(head) if head.sealed.is_some()) {
                    let message = format!(
                        "namespace {namespace} was being moved, folded or deleted when its root was damaged, and this \
                         machine has not seen how far that had come; repair it on a machine that has used it since, or \
                         restore {} from a backup",
                        keys::meta(namespace)
                    );
                    return Err(Error::new(ErrorKind::Corrupt, namespace, message));
                }
            }
            cursor = listing.cursor;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// The ETag of an object that may be damaged; none when it does not exist. One listing.
    pub(super) async fn etag_of(&self, key: &str) -> Result<Option<String>> {
        let listing = self.world.list(key, None).await?;
        Ok(listing.objects.into_iter().find(|object| object.key == key).map(|object| object.etag))
    }
}

/// Somebody else was faster.
pub(super) fn changed(key: &str) -> Error {
    Error::new(ErrorKind::Conflict, key, format!("{key} was changed meanwhile; run the repair again"))
}
