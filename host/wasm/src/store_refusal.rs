//! Remembers that the local store refused something during a method.
//!
//! A guest sees such a refusal as an error like any other and mostly fails because of it. The run must not be told then
//! that the method failed: the disk is full, say, and the operator has to do something. So what a method gets of the store
//! is wrapped, and the first refusal is kept beside what the guest makes of it.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use peat_core::content::SharedContent;
use peat_core::entry::{Entry, Lifetime, Tag};
use peat_core::identifiers::{DataName, ModelName, Version};
use peat_core::ports::{ExtensionError, MethodError, RunData, RunDataError, Spool, SpoolWriter, StoreError};

/// The first refusal of the store, if there was one.
#[derive(Debug, Clone, Default)]
pub(crate) struct StoreRefusal(Arc<OnceLock<StoreError>>);

impl StoreRefusal {
    /// What really ended the method: the refusal of the store where the guest gave up after one, else what it says. A
    /// guest that was stopped for its own doing (a limit, a deadline, an invalid answer) is still reported for that.
    pub(crate) fn behind(&self, error: MethodError) -> MethodError {
        let gave_up =
            matches!(&error, MethodError::Failed { .. } | MethodError::Extension(ExtensionError::Trapped { .. }));
        match self.0.get() {
            Some(refusal) if gave_up => MethodError::Store(refusal.clone()),
            _ => error,
        }
    }

    fn note<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| {
            // Later ones follow from the first.
            let _ = self.0.set(error.clone());
        })
    }

    fn note_data<T>(&self, result: Result<T, RunDataError>) -> Result<T, RunDataError> {
        match result {
            Err(RunDataError::Store(error)) => Ok(self.note(Err(error))?),
            other => other,
        }
    }
}

/// A spool whose refusals are kept.
pub(crate) struct NotedSpool {
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) refusal: StoreRefusal,
}

struct NotedWriter {
    writer: Box<dyn SpoolWriter>,
    refusal: StoreRefusal,
}

impl Spool for NotedSpool {
    fn begin(&self) -> Result<Box<dyn SpoolWriter>, StoreError> {
        let writer = self.refusal.note(self.spool.begin())?;
        Ok(Box::new(NotedWriter { writer, refusal: self.refusal.clone() }))
    }
}

impl SpoolWriter for NotedWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.refusal.note(self.writer.write(bytes))
    }

    fn finish(self: Box<Self>) -> Result<SharedContent, StoreError> {
        self.refusal.note(self.writer.finish())
    }
}

/// Data of a run whose store's refusals are kept.
pub(crate) struct NotedData<'a> {
    pub(crate) data: &'a dyn RunData,
    pub(crate) refusal: StoreRefusal,
}

#[async_trait]
impl RunData for NotedData<'_> {
    fn write(
        &self,
        name: DataName,
        content: SharedContent,
        content_type: String,
        lifetime: Option<Lifetime>,
        tags: Vec<Tag>,
    ) -> Result<(), RunDataError> {
        self.refusal.note_data(self.data.write(name, content, content_type, lifetime, tags))
    }

    async fn read(
        &self,
        model: Option<&ModelName>,
        name: &DataName,
        version: Option<Version>,
    ) -> Result<(Entry, SharedContent), RunDataError> {
        self.refusal.note_data(self.data.read(model, name, version).await)
    }

    fn list(
        &self,
        model: Option<&ModelName>,
        prefix: &str,
        after: Option<&DataName>,
        limit: u32,
    ) -> Result<Vec<Entry>, RunDataError> {
        self.refusal.note_data(self.data.list(model, prefix, after, limit))
    }
}
