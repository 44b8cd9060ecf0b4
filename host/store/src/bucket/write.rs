//! Writing: whole objects up to the size of a part, larger ones in parts. A conditional write is always one request, made
//! once: what became of an unanswered one the caller finds out by reading.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use peat_core::content::{self, SharedContent};
use peat_core::ports::{Condition, ObjectError};
use tokio::sync::OwnedSemaphorePermit;

use super::Inner;
use super::body::Outgoing;
use super::etag::{self, EtagForm};
use super::failure::Refusal;
use super::multipart::PART_BYTES;
use super::sink::thread_ended;

/// What is read where it is wanted: so little lies in memory, or is one look at the disk. More is read on a thread of its own.
const READ_INLINE_BYTES_MAX: u64 = 256 * 1024;

/// A condition as it is written into headers.
#[derive(Debug, Clone, Default)]
struct Headers {
    if_match: Option<String>,
    if_none_match: Option<String>,
}

/// A part of a content in memory, counted among the uploads as long as it lives.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) bytes: Bytes,
    _place: OwnedSemaphorePermit,
}

impl Inner {
    pub(super) async fn put(
        &self,
        key: &str,
        content: SharedContent,
        condition: Condition,
    ) -> Result<String, ObjectError> {
        let full = self.scope.full(key)?;
        if matches!(&condition, Condition::Matches(etag) if !etag::is_possible(etag)) {
            return Err(ObjectError::Conflict { key: key.to_owned() });
        }
        let size = content.size();
        if size > PART_BYTES && condition == Condition::Always {
            return self.put_in_parts(key, &full, &content).await;
        }
        let (whole, _place) = if size > PART_BYTES {
            // On a condition, so not in parts: Ceph 16 puts them together without a look at it.
            (digested(key, content).await?, None)
        } else {
            let upload = self.upload(key, content, 0, size).await?;
            (Outgoing::Bytes(upload.bytes.clone()), Some(upload))
        };
        if condition == Condition::Always {
            return self.repeated(key, || self.put_once(&full, &whole, Headers::default())).await;
        }
        self.on_condition(key, &full, &condition, |headers| self.put_once(&full, &whole, headers)).await
    }

    /// Carries out a conditional write once. Where it is not known yet which form of ETag the store takes, a refusal of the
    /// current ETag (as a read shows) is followed by the other form: the first attempt certainly wrote nothing.
    async fn on_condition<F>(
        &self,
        key: &str,
        full: &str,
        condition: &Condition,
        write: impl Fn(Headers) -> F,
    ) -> Result<String, ObjectError>
    where
        F: Future<Output = Result<String, Refusal>>,
    {
        let refused = |refusal: Refusal| match refusal {
            // Of an object that is not there no ETag is current.
            refusal if refusal.is_missing() && matches!(condition, Condition::Matches(_)) => {
                ObjectError::Conflict { key: key.to_owned() }
            }
            refusal => refusal.into_error(&self.place, key),
        };
        let Condition::Matches(etag) = condition else {
            let absent = Headers { if_none_match: Some("*".to_owned()), if_match: None };
            return write(absent).await.map_err(refused);
        };
        let matching = |form: EtagForm| Headers { if_match: Some(form.write(etag)), if_none_match: None };
        let known = self.etags.form();
        let form = known.unwrap_or(EtagForm::Quoted);
        match write(matching(form)).await {
            Ok(new) => {
                self.etags.learn(form);
                Ok(new)
            }
            Err(refusal)
                if known.is_none() && refusal.is_unmet_condition() && self.is_current(key, full, etag).await? =>
            {
                let new = write(matching(EtagForm::Unquoted)).await.map_err(refused)?;
                self.etags.learn(EtagForm::Unquoted);
                Ok(new)
            }
            Err(refusal) => Err(refused(refusal)),
        }
    }

    /// Whether the store itself names this ETag as the object's.
    async fn is_current(&self, key: &str, full: &str, etag: &str) -> Result<bool, ObjectError> {
        match self.stat(key, full).await {
            Ok((current, _)) => Ok(current == etag),
            Err(ObjectError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn put_once(&self, full: &str, whole: &Outgoing, headers: Headers) -> Result<String, Refusal> {
        let request = self.client.put_object().bucket(&self.scope.bucket).key(full);
        let request = request
            .content_type("application/octet-stream")
            .set_if_match(headers.if_match)
            .set_if_none_match(headers.if_none_match)
            .set_content_length(i64::try_from(whole.size()).ok())
            .body(whole.in_memory().into());
        let answer = self.exchange(Some(whole.clone()), |watch| request.customize().interceptor(watch).send()).await?;
        // "null" names the one version that a bucket without versioning, or with suspended one, has of an object.
        if answer.output.version_id().is_some_and(|version| version != "null") {
            self.keeps_versions.store(true, Ordering::Relaxed);
        }
        written(answer.output.e_tag())
    }

    /// Reads a part of a content, once there is room for it.
    pub(super) async fn upload(
        &self,
        key: &str,
        content: SharedContent,
        offset: u64,
        length: u64,
    ) -> Result<Upload, ObjectError> {
        let place = Arc::clone(&self.uploads).acquire_owned().await.expect("nobody closes the semaphore");
        let read = if length <= READ_INLINE_BYTES_MAX {
            read_part(&content, offset, length)
        } else {
            let reading = tokio::task::spawn_blocking(move || read_part(&content, offset, length));
            reading.await.map_err(|error| thread_ended(key, &error))?
        };
        let bytes = read.map_err(|error| unreadable(key, &error))?;
        Ok(Upload { bytes, _place: place })
    }
}

/// The ETag of an answer to a write. Without it the write took place, and its author has to look which one it has.
pub(super) fn written(etag: Option<&str>) -> Result<String, Refusal> {
    etag::parse(etag).ok_or_else(|| Refusal::NoAnswer("the answer to a write bears no ETag".to_owned()))
}

/// A content to be sent whole, with the digest that is signed.
async fn digested(key: &str, content: SharedContent) -> Result<Outgoing, ObjectError> {
    let hashing = tokio::task::spawn_blocking(move || content::digest(&*content).map(|digest| (content, digest)));
    let hashed = hashing.await.map_err(|error| thread_ended(key, &error))?;
    hashed.map(|(content, digest)| Outgoing::Content(content, digest)).map_err(|error| unreadable(key, &error))
}

fn unreadable(key: &str, error: &std::io::Error) -> ObjectError {
    let reason = format!("what was to be written cannot be read: {error}");
    ObjectError::Unavailable { key: key.to_owned(), reason, retry_after_ms: None }
}

fn read_part(content: &SharedContent, offset: u64, length: u64) -> std::io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
    let mut filled = 0;
    while filled < bytes.len() {
        match content.read_at(offset + filled as u64, &mut bytes[filled..])? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    Ok(bytes.into())
}
