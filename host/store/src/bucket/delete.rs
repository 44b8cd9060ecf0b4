//! Deleting: in batches where the store knows them, else one by one.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use futures::stream::{self, StreamExt as _};
use peat_core::ports::ObjectError;

use super::Inner;
use super::failure::{Answered, Refusal};
use super::settings::misconfigured;

/// Keys of one request: the most that stores take.
const BATCH_KEYS: usize = 1_000;

/// Deletions at once where the store takes them one by one.
const SINGLY_AT_ONCE: usize = 16;

/// The status that stands for a code within an answer that was a success as a whole.
const WITHIN_SUCCESS: u16 = 403;

impl Inner {
    pub(super) async fn delete(&self, keys: &[String]) -> Result<Vec<(String, ObjectError)>, ObjectError> {
        let mut failures = Vec::new();
        let mut wanted = BTreeSet::new();
        for key in keys {
            match self.scope.full(key) {
                Ok(full) => drop(wanted.insert((key.as_str(), full))),
                Err(error) => failures.push((key.clone(), error)),
            }
        }
        let wanted: Vec<(&str, String)> = wanted.into_iter().collect();
        for batch in wanted.chunks(BATCH_KEYS) {
            failures.extend(self.delete_batch(batch).await?);
        }
        Ok(failures)
    }

    async fn delete_batch(&self, batch: &[(&str, String)]) -> Result<Vec<(String, ObjectError)>, ObjectError> {
        if batch.len() > 1 && !self.deletes_singly.load(Ordering::Relaxed) {
            let deleted = self.repeated("delete", || async {
                match self.delete_together(batch).await {
                    Err(refusal) if refusal.is_unknown_to_the_store() => Ok(None),
                    other => other.map(Some),
                }
            });
            if let Some(failures) = deleted.await? {
                return Ok(failures);
            }
            self.deletes_singly.store(true, Ordering::Relaxed);
        }
        let deletions = batch.iter().map(|(key, full)| async move {
            let deleted = self.repeated(key, || self.delete_one(full)).await;
            deleted.err().map(|error| ((*key).to_owned(), error))
        });
        let deletions: Vec<_> = deletions.collect();
        let failed: Vec<Option<(String, ObjectError)>> =
            stream::iter(deletions).buffered(SINGLY_AT_ONCE).collect().await;
        Ok(failed.into_iter().flatten().collect())
    }

    async fn delete_together(&self, batch: &[(&str, String)]) -> Result<Vec<(String, ObjectError)>, Refusal> {
        let keys = batch.iter().map(|(_, full)| ObjectIdentifier::builder().key(full).build());
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(|error| misconfigured("delete", error.to_string()))?;
        let delete = Delete::builder().set_objects(Some(keys)).quiet(true).build();
        let delete = delete.map_err(|error| misconfigured("delete", error.to_string()))?;
        let request = self.client.delete_objects().bucket(&self.scope.bucket).delete(delete);
        let answer = self.exchange(None, |watch| request.customize().interceptor(watch).send()).await?;
        let failed = answer.output.errors().iter().filter(|error| error.code() != Some("NoSuchKey"));
        let failed = failed.filter_map(|error| {
            let key = self.scope.relative(error.key()?)?.to_owned();
            let refusal = Refusal::Answered(Answered {
                status: WITHIN_SUCCESS,
                code: error.code().unwrap_or_default().to_owned(),
                message: error.message().unwrap_or_default().to_owned(),
                retry_after_ms: None,
                region: None,
            });
            Some((key.clone(), refusal.into_error(&self.place, &key)))
        });
        Ok(failed.collect())
    }

    async fn delete_one(&self, full: &str) -> Result<(), Refusal> {
        let request = self.client.delete_object().bucket(&self.scope.bucket).key(full);
        match self.exchange(None, |watch| request.customize().interceptor(watch).send()).await {
            Ok(_) => Ok(()),
            Err(refusal) if refusal.is_missing() => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }
}
