//! Copying. Small objects go through this machine, where a conditional write keeps what is at the target. Large ones are copied
//! by the store, after a look at the target: only some stores check a condition there, others ignore it. So whoever copies
//! to one key at once must copy the same, as those do who copy what never changes.

use std::fmt::Write as _;

use peat_core::ports::{Condition, Lookup, ObjectError};

use super::Inner;
use super::failure::Refusal;
use super::write::written;

/// Objects of at most so many bytes go through this machine: that is no slower.
const THROUGH_HERE_BYTES_MAX: u64 = 1024 * 1024;

/// The largest object that the store is asked to copy in one request, in bytes. Far below the 5 GiB that S3 allows: the
/// request shows no progress until it is done, and one without progress is given up.
const COPY_BYTES_MAX: u64 = 512 * 1024 * 1024;

impl Inner {
    pub(super) async fn copy(&self, source: &str, target: &str) -> Result<String, ObjectError> {
        // Before anything is read.
        let full = self.scope.full(target)?;
        let from = self.scope.full(source)?;
        let (_, bytes) = self.stat(source, &from).await?;
        if (THROUGH_HERE_BYTES_MAX + 1..=COPY_BYTES_MAX).contains(&bytes) {
            match self.stat(target, &full).await {
                Ok(_) => return Err(ObjectError::Conflict { key: target.to_owned() }),
                Err(ObjectError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
            if let Some(etag) = self.repeated(target, || self.copy_once(&from, &full)).await? {
                return Ok(etag);
            }
        }
        match self.get(source, None).await? {
            Lookup::Found(found) => self.put(target, found.content, Condition::Absent).await,
            Lookup::NotModified => Err(ObjectError::NotFound { key: source.to_owned() }),
        }
    }

    /// Has the store copy; none where it cannot.
    async fn copy_once(&self, from: &str, to: &str) -> Result<Option<String>, Refusal> {
        let source = encoded(&format!("{}/{from}", self.scope.bucket));
        let request = self.client.copy_object().bucket(&self.scope.bucket).key(to).copy_source(source);
        match self.exchange(None, |watch| request.customize().interceptor(watch).send()).await {
            Ok(answer) => written(answer.output.copy_object_result().and_then(|copied| copied.e_tag())).map(Some),
            Err(Refusal::Answered(answered)) if matches!(answered.status, 405 | 501) => Ok(None),
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
