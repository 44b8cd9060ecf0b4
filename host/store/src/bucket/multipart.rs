//! Objects in parts: each part is signed, sent and, if need be, sent again by itself; or copied by the store. Without a
//! condition, as not every store looks at one when it puts the parts together. What is left of an upload that failed is
//! given up; a rule of the bucket removes those of dead processes.

use std::time::Duration;

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use peat_core::content::SharedContent;
use peat_core::ports::ObjectError;

use super::Inner;
use super::body::Outgoing;
use super::etag;
use super::failure::Refusal;
use super::write::Upload;

/// Bytes of a part that is sent, and largest object that is sent whole: stores want at least 5 MiB, and it is what one
/// failure costs.
pub(super) const PART_BYTES: u64 = 8 * 1024 * 1024;

/// Most parts of an object: a rule of S3. Larger objects have larger parts.
const PARTS_MAX: u64 = 10_000;

/// Parts of one object on their way at once; two uploads share the room for parts in memory.
const PARTS_AT_ONCE: usize = 4;

/// How long giving an upload up may hold a failure up.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);

/// What an object is made of.
#[derive(Clone, Copy)]
enum Source<'a> {
    /// What is sent.
    Content(&'a SharedContent),
    /// Another object, named as the header wants it.
    Object(&'a str),
}

/// A part of an upload.
#[derive(Clone, Copy)]
struct Part<'a> {
    key: &'a str,
    full: &'a str,
    upload: &'a str,
    /// From 1.
    number: i32,
    offset: u64,
    length: u64,
}

impl Inner {
    pub(super) async fn put_in_parts(
        &self,
        key: &str,
        full: &str,
        content: &SharedContent,
    ) -> Result<String, ObjectError> {
        let made = self.in_parts(key, full, Source::Content(content), content.size(), PART_BYTES).await?;
        Ok(made.expect("parts that are sent are never unknown to the store"))
    }

    /// Has the store copy `bytes` of an object in parts of `part_bytes`; none where it cannot.
    pub(super) async fn copy_in_parts(
        &self,
        key: &str,
        full: &str,
        source: &str,
        bytes: u64,
        part_bytes: u64,
    ) -> Result<Option<String>, ObjectError> {
        self.in_parts(key, full, Source::Object(source), bytes, part_bytes).await
    }

    async fn in_parts(
        &self,
        key: &str,
        full: &str,
        source: Source<'_>,
        size: u64,
        part_bytes: u64,
    ) -> Result<Option<String>, ObjectError> {
        let upload = self.repeated(key, || self.begin(full)).await?;
        let part_bytes = part_bytes.max(size.div_ceil(PARTS_MAX));
        let parts = (0..size.div_ceil(part_bytes)).map(|index| {
            let number = i32::try_from(index + 1).unwrap_or(i32::MAX);
            let offset = index * part_bytes;
            Part { key, full, upload: &upload, number, offset, length: part_bytes.min(size - offset) }
        });
        let outcome = self.make_and_complete(key, full, &upload, source, parts.collect()).await;
        if !matches!(outcome, Ok(Some(_))) {
            // Best effort, also where it is not known whether the object was completed: then there is nothing to give up.
            let _ = tokio::time::timeout(ABORT_TIMEOUT, self.give_up(full, &upload)).await;
        }
        outcome
    }

    async fn make_and_complete(
        &self,
        key: &str,
        full: &str,
        upload: &str,
        source: Source<'_>,
        parts: Vec<Part<'_>>,
    ) -> Result<Option<String>, ObjectError> {
        let making: Vec<_> = parts.into_iter().map(|part| self.make(part, source)).collect();
        let made: Vec<Option<CompletedPart>> = stream::iter(making).buffered(PARTS_AT_ONCE).try_collect().await?;
        let Some(parts) = made.into_iter().collect() else { return Ok(None) };
        // Made once: a second one would find the upload gone, and say nothing about the object.
        let completed = self.complete(full, upload, parts).await;
        match completed.map_err(|refusal| refusal.into_error(&self.place, key))? {
            Some(etag) => Ok(Some(etag)),
            // Ceph 16 answers an empty one. Whoever wrote without a condition may be told of a later write's.
            None => self.stat(key, full).await.map(|(etag, _)| Some(etag)),
        }
    }

    /// Makes one part; none where the store cannot copy.
    async fn make(&self, part: Part<'_>, source: Source<'_>) -> Result<Option<CompletedPart>, ObjectError> {
        match source {
            Source::Content(content) => {
                let upload = self.upload(part.key, content.clone(), part.offset, part.length).await?;
                self.repeated(part.key, || self.send_part(part, &upload)).await.map(Some)
            }
            Source::Object(source) => self.repeated(part.key, || self.copy_part(part, source)).await,
        }
    }

    async fn begin(&self, full: &str) -> Result<String, Refusal> {
        let request = self.client.create_multipart_upload().bucket(&self.scope.bucket).key(full);
        let request = request.content_type("application/octet-stream");
        let answer = self.exchange(None, |watch| request.customize().interceptor(watch).send()).await?;
        let id = answer.output.upload_id().map(str::to_owned);
        id.ok_or_else(|| Refusal::NoAnswer("the answer names no upload".to_owned()))
    }

    async fn send_part(&self, part: Part<'_>, upload: &Upload) -> Result<CompletedPart, Refusal> {
        let request = self.client.upload_part().bucket(&self.scope.bucket).key(part.full);
        let request = request.upload_id(part.upload).part_number(part.number).body(upload.bytes.clone().into());
        let sent = Outgoing::Bytes(upload.bytes.clone());
        let answer = self.exchange(Some(sent), |watch| request.customize().interceptor(watch).send()).await?;
        completed(part, answer.output.e_tag())
    }

    async fn copy_part(&self, part: Part<'_>, source: &str) -> Result<Option<CompletedPart>, Refusal> {
        let request = self.client.upload_part_copy().bucket(&self.scope.bucket).key(part.full);
        let request = request
            .upload_id(part.upload)
            .part_number(part.number)
            .copy_source(source)
            .copy_source_range(format!("bytes={}-{}", part.offset, part.offset + part.length - 1))
            .customize()
            // Ceph 16 refuses a PUT that does not say that it has no body.
            .mutate_request(|request| {
                request.headers_mut().insert("content-length", "0");
            });
        match self.exchange(None, |watch| request.interceptor(watch).send()).await {
            Ok(answer) => completed(part, answer.output.copy_part_result().and_then(|copied| copied.e_tag())).map(Some),
            Err(refusal) if refusal.is_not_implemented() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Answers the ETag, where the store tells one.
    async fn complete(&self, full: &str, id: &str, parts: Vec<CompletedPart>) -> Result<Option<String>, Refusal> {
        let request = self.client.complete_multipart_upload().bucket(&self.scope.bucket).key(full);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let request = request.upload_id(id).multipart_upload(parts);
        let answer = self.exchange(None, |watch| request.customize().interceptor(watch).send()).await?;
        Ok(etag::parse(answer.output.e_tag()))
    }

    async fn give_up(&self, full: &str, id: &str) -> Result<(), Refusal> {
        let request = self.client.abort_multipart_upload().bucket(&self.scope.bucket).key(full).upload_id(id);
        self.exchange(None, |watch| request.customize().interceptor(watch).send()).await.map(drop)
    }
}

/// As the store wrote its ETag, quotes and all: it is handed back as it came.
fn completed(part: Part<'_>, etag: Option<&str>) -> Result<CompletedPart, Refusal> {
    let etag = etag.ok_or_else(|| Refusal::NoAnswer("the answer to a part bears no ETag".to_owned()))?;
    Ok(CompletedPart::builder().part_number(part.number).e_tag(etag).build())
}
