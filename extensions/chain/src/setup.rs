//! Setting a store up, and examining it again. Nothing is created on a store that failed an examination.

use crate::chain::Chain;
use crate::error::{Error, ErrorKind, Result};
use crate::keys;
use crate::limits::{FORMAT, META_BYTES_MAX, UNKNOWN_ATTEMPTS_MAX};
use crate::meta::{Meta, StoreRecord};
use crate::ports::{Condition, Lookup, World};
use crate::refusal::namespace_absent;
use crate::types::{Profile, Verdict};

/// Where the replica keeps the store's record, once it was understood.
pub(crate) const KNOWN_STORE: &str = "store/peat.json";

impl<W: World> Chain<W> {
    /// The first use of a store by a machine reads the store's record: a newer format must be noticed before anything is
    /// understood wrongly or written. Later uses remember it and make no request.
    pub(crate) async fn know_store(&self, namespace: &str) -> Result<()> {
        if matches!(self.world.cached(KNOWN_STORE).await, Ok(Some(_))) {
            return Ok(());
        }
        self.store_record().await?.map(drop).ok_or_else(|| namespace_absent(namespace))
    }

    /// Probes the store, then creates what is missing. Idempotent, and safe when several do it at once.
    pub async fn setup(&self, namespace: &str) -> Result<Profile> {
        keys::check_namespace(namespace)?;
        if let Some(parent) = keys::parent_of(namespace) {
            let rule = format!("a run scope of {parent}; open it with `peat run-scope open`");
            return Err(Error::input(namespace, rule));
        }
        let existing = self.store_record().await?;
        let findings = self.probe().await?;
        if findings.iter().any(|finding| finding.verdict == Verdict::Failed) {
            let store_id = existing.map(|record| record.store_id).unwrap_or_default();
            return Ok(Profile { store_id, format_version: FORMAT, findings });
        }
        let now_ms = self.world.now_ms();
        let record = StoreRecord { format: FORMAT, store_id: self.new_id(), created_at_ms: now_ms };
        if existing.is_none() {
            self.create_once(keys::STORE_RECORD, &record.encode()).await?;
        }
        let Some(record) = self.store_record().await? else { return Err(vanished(keys::STORE_RECORD)) };
        if self.find_meta(namespace).await?.is_none() {
            let meta = Meta::new(namespace, now_ms, self.new_id());
            match self.claim(meta).await {
                Err(error) if error.kind != ErrorKind::Conflict => return Err(error),
                // Somebody else did it meanwhile.
                _ => {}
            }
        }
        self.check_active(namespace).await?;
        Ok(Profile { store_id: record.store_id, format_version: record.format, findings })
    }

    /// Probes the store again; changes nothing but scratch objects.
    pub async fn verify(&self, namespace: &str) -> Result<Profile> {
        keys::check_namespace(namespace)?;
        let Some(record) = self.store_record().await? else { return Err(namespace_absent(namespace)) };
        self.current_meta(namespace).await?;
        let findings = self.probe().await?;
        Ok(Profile { store_id: record.store_id, format_version: record.format, findings })
    }

    pub(crate) async fn store_record(&self) -> Result<Option<StoreRecord>> {
        let mut attempt = 0;
        loop {
            match self.world.get(keys::STORE_RECORD, None).await {
                Ok(Lookup::Found { content, .. }) => {
                    let bytes = self.read_all(keys::STORE_RECORD, &content, META_BYTES_MAX).await?;
                    let record = StoreRecord::decode(&bytes)?;
                    // A cache that refuses costs a request later, nothing else.
                    let _ = self.world.cache(KNOWN_STORE, &bytes).await;
                    return Ok(Some(record));
                }
                Ok(Lookup::NotModified) => return Ok(None),
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) if error.is_unavailable() && attempt + 1 < UNKNOWN_ATTEMPTS_MAX => {
                    attempt += 1;
                    self.pause(attempt, Some(&error)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Creates an object unless somebody else did.
    async fn create_once(&self, key: &str, bytes: &[u8]) -> Result<()> {
        let blob = self.world.blob(bytes).await?;
        for attempt in 1..=UNKNOWN_ATTEMPTS_MAX {
            match self.world.put(key, &blob, Condition::Absent).await {
                Err(error) if error.is_unavailable() => self.pause(attempt, Some(&error)).await,
                // A conflict means that it is there: somebody else's, or ours after an unanswered attempt.
                Err(error) if !error.is_ambiguous() => return Err(error),
                Ok(_) | Err(_) => return Ok(()),
            }
        }
        Ok(())
    }
}

fn vanished(key: &str) -> Error {
    Error::corrupt(key, "it was written and is not there; does somebody else delete objects of this store?")
}
