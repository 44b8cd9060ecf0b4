//! Content that came from a datastore is what its entry says, or it is corrupt.

use peat_core::content::SharedContent;
use peat_core::digest::Digest;
use peat_core::ports::{DatastoreError, ErrorKind};

use crate::capabilities::blobs::digest_of;

/// What is wrong then, and what to do.
const DAMAGED: &str = "the datastore is damaged, or its extension is wrong";

/// Compares size and SHA-256. Cancel safe.
pub(super) async fn checked(
    content: &SharedContent,
    size: u64,
    digest: &Digest,
    subject: &str,
    extension: &str,
) -> Result<(), DatastoreError> {
    let refused = |kind, message: String| DatastoreError::Refused { kind, subject: subject.to_owned(), message };
    if content.size() != size {
        let message =
            format!("{subject} came from {extension} with {} bytes instead of {size}; {DAMAGED}", content.size());
        return Err(refused(ErrorKind::Corrupt, message));
    }
    match digest_of(SharedContent::clone(content)).await {
        Ok(found) if found == *digest => Ok(()),
        Ok(found) => {
            let message = format!("{subject} came from {extension} with digest {found} instead of {digest}; {DAMAGED}");
            Err(refused(ErrorKind::Corrupt, message))
        }
        Err(error) => {
            let kind = ErrorKind::Unavailable { retry_after: None };
            Err(refused(kind, format!("{subject} could not be read: {error}")))
        }
    }
}
