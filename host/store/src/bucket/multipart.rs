//! Objects in parts: each part is signed, sent and, if need be, sent again by itself; the condition is checked when they are
//! put together. What is left of an upload that failed is given up; a rule of the bucket removes those of dead processes.

use std::time::Duration;

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use peat_core::content::SharedContent;
use peat_core::ports::{Condition, ObjectError};

use super::Inner;
use super::etag;
use super::failure::Refusal;
use super::write::{Headers, Upload, written};

/// Bytes of a part, and largest object that is sent whole: stores want at least 5 MiB, and it is what one failure costs.
pub(super) const PART_BYTES: u64 = 8 * 1024 * 1024;

/// Most parts of an object: a rule of S3. Larger objects have larger parts.
const PARTS_MAX: u64 = 10_000;

/// Parts of one object on their way at once; two uploads share the room for parts in memory.
const PARTS_AT_ONCE: usize = 4;

/// How long giving an upload up may hold a failure up.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);

impl Inner {
    pub(super) async fn put_in_parts(
        &self,
        key: &str,
        full: &str,
        content: SharedContent,
        condition: &Condition,
    ) -> Result<String, ObjectError> {
        let id = self.repeated(key, || self.begin(full)).await?;
        let outcome = self.send_and_complete(key, full, &id, content, condition).await;
        if outcome.is_err() {
            // Best effort, also where it is not known whether the object was completed: then there is nothing to give up.
            let _ = tokio::time::timeout(ABORT_TIMEOUT, self.give_up(full, &id)).await;
        }
        outcome
    }

    async fn send_and_complete(
        &self,
        key: &str,
        full: &str,
        id: &str,
        content: SharedContent,
        condition: &Condition,
    ) -> Result<String, ObjectError> {
        let size = content.size();
        let part_bytes = PART_BYTES.max(size.div_ceil(PARTS_MAX));
        let sending = (0..size.div_ceil(part_bytes)).map(|index| {
            let (content, offset) = (content.clone(), index * part_bytes);
            async move {
                let upload = self.upload(key, content, offset, part_bytes.min(size - offset)).await?;
                let number = i32::try_from(index + 1).unwrap_or(i32::MAX);
                self.repeated(key, || self.send_part(full, id, number, &upload)).await
            }
        });
        let sending: Vec<_> = sending.collect();
        let parts: Vec<CompletedPart> = stream::iter(sending).buffered(PARTS_AT_ONCE).try_collect().await?;
        let complete = |headers| self.complete(full, id, parts.clone(), headers);
        match condition {
            // Made once: a second one would find the upload gone, and say nothing about the object.
            Condition::Always => {
                let completed = complete(Headers::default()).await;
                match completed.map_err(|refusal| refusal.into_error(&self.place, key))? {
                    Some(etag) => Ok(etag),
                    // Ceph 16 answers an empty one. Whoever wrote without a condition may be told of a later write's.
                    None => self.stat(key, full).await.map(|(etag, _)| etag),
                }
            }
            _ => {
                let write = |headers| {
                    let completing = complete(headers);
                    async move { written(completing.await?.as_deref()) }
                };
                self.on_condition(key, full, condition, write).await
            }
        }
    }

    async fn begin(&self, full: &str) -> Result<String, Refusal> {
        let request = self.client.create_multipart_upload().bucket(&self.scope.bucket).key(full);
        let request = request.content_type("application/octet-stream");
        let answer = self.exchange(None, |watch| request.customize().interceptor(watch).send()).await?;
        let id = answer.output.upload_id().map(str::to_owned);
        id.ok_or_else(|| Refusal::NoAnswer("the answer names no upload".to_owned()))
    }

    async fn send_part(&self, full: &str, id: &str, number: i32, upload: &Upload) -> Result<CompletedPart, Refusal> {
        let request = self.client.upload_part().bucket(&self.scope.bucket).key(full);
        let request = request.upload_id(id).part_number(number).body(upload.bytes.clone().into());
        let answer =
            self.exchange(Some(upload.bytes.clone()), |watch| request.customize().interceptor(watch).send()).await?;
        // As the store wrote it, quotes and all: it is handed back as it came.
        let etag = answer.output.e_tag().map(str::to_owned);
        let etag = etag.ok_or_else(|| Refusal::NoAnswer("the answer to a part bears no ETag".to_owned()))?;
        Ok(CompletedPart::builder().part_number(number).e_tag(etag).build())
    }

    /// Answers the ETag, where the store tells one.
    async fn complete(
        &self,
        full: &str,
        id: &str,
        parts: Vec<CompletedPart>,
        headers: Headers,
    ) -> Result<Option<String>, Refusal> {
        let request = self.client.complete_multipart_upload().bucket(&self.scope.bucket).key(full);
        let request = request
            .upload_id(id)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .set_if_match(headers.if_match)
            .set_if_none_match(headers.if_none_match);
        let answer = self.exchange(None, |watch| request.customize().interceptor(watch).send()).await?;
        Ok(etag::parse(answer.output.e_tag()))
    }

    async fn give_up(&self, full: &str, id: &str) -> Result<(), Refusal> {
        let request = self.client.abort_multipart_upload().bucket(&self.scope.bucket).key(full).upload_id(id);
        self.exchange(None, |watch| request.customize().interceptor(watch).send()).await.map(drop)
    }
}
