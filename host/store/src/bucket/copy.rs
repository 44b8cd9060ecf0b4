//! Copying. Small objects go through this machine, where a conditional write keeps what is at the target. Larger ones are
//! copied by the store, after a look at the target: only some stores check a condition there, others ignore it. So whoever
//! copies to one key at once must copy the same, as those do who copy what never changes.

use std::fmt::Write as _;

use peat_core::ports::{Condition, Lookup, ObjectError};

use super::Inner;
use super::failure::Refusal;
use super::multipart::PART_BYTES;
use super::write::written;

/// Objects of at most so many bytes go through this machine: that is no slower.
const THROUGH_HERE_BYTES_MAX: u64 = 1024 * 1024;

/// The largest object, or part of one, that the store is asked to copy in one request, in bytes. Far below the 5 GiB that
/// S3 allows: the request shows no progress until it is done, and one without progress is given up.
const COPY_BYTES_MAX: u64 = 64 * 1024 * 1024;

impl Inner {
    pub(super) async fn copy(&self, source: &str, target: &str) -> Result<String, ObjectError> {
        // Before anything is read.
        let full = self.scope.full(target)?;
        let from = self.scope.full(source)?;
        let (_, bytes) = self.stat(source, &from).await?;
        if bytes > THROUGH_HERE_BYTES_MAX {
            match self.stat(target, &full).await {
                Ok(_) => return Err(ObjectError::Conflict { key: target.to_owned() }),
                Err(ObjectError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            let from = encoded(&format!("{}/{from}", self.scope.bucket));
            let copied = if bytes <= COPY_BYTES_MAX {
                self.repeated(target, || self.copy_once(&from, &full)).await?
            } else {
                self.copy_in_parts(target, &full, &from, bytes, COPY_BYTES_MAX).await?
            };
            if let Some(etag) = copied {
                return Ok(etag);
            }
        }
        // A conditional write is one request, made once: too much to lose for a large object.
        let condition = if bytes > PART_BYTES { Condition::Always } else { Condition::Absent };
        match self.get(source, None).await? {
            Lookup::Found(found) => self.put(target, found.content, condition).await,
            Lookup::NotModified => Err(ObjectError::NotFound { key: source.to_owned() }),
        }
    }

    /// Has the store copy; none where it cannot. `from` is named as the header wants it.
    async fn copy_once(&self, from: &str, to: &str) -> Result<Option<String>, Refusal> {
        let request = self.client.copy_object().bucket(&self.scope.bucket).key(to).copy_source(from);
        match self.exchange(None, |watch| request.customize().interceptor(watch).send()).await {
            Ok(answer) => written(answer.output.copy_object_result().and_then(|copied| copied.e_tag())).map(Some),
            Err(refusal) if refusal.is_not_implemented() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }
}

/// As the header that names the source wants it.
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_source_is_encoded() {
        assert_eq!(encoded("team-data/a b/ä+1"), "team-data/a%20b/%C3%A4%2B1");
    }
}
