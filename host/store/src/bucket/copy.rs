//! Copying: through this machine. Only some stores check a condition on the target of their own copy, others ignore it and
//! would overwrite; a conditional write they all have.

use peat_core::ports::{Condition, Lookup, ObjectError};

use super::Inner;

impl Inner {
    pub(super) async fn copy(&self, source: &str, target: &str) -> Result<String, ObjectError> {
        // Before anything is read.
        self.scope.full(target)?;
        match self.get(source, None).await? {
            Lookup::Found(found) => self.put(target, found.content, Condition::Absent).await,
            Lookup::NotModified => Err(ObjectError::NotFound { key: source.to_owned() }),
        }
    }
}
