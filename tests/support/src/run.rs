//! A run that has nothing to do with data.

use async_trait::async_trait;
use peat_core::content::SharedContent;
use peat_core::entry::{Entry, Lifetime, Tag};
use peat_core::identifiers::{DataName, ModelName, Version};
use peat_core::ports::{RunData, RunDataError, RunLog};

/// Data without anything in it, which forgets what is written, and a log that nobody reads.
#[derive(Debug)]
pub struct Nothing;

#[async_trait]
impl RunData for Nothing {
    fn write(
        &self,
        _name: DataName,
        _content: SharedContent,
        _content_type: String,
        _lifetime: Option<Lifetime>,
        _tags: Vec<Tag>,
    ) -> Result<(), RunDataError> {
        Ok(())
    }

    async fn read(
        &self,
        _model: Option<&ModelName>,
        name: &DataName,
        _version: Option<Version>,
    ) -> Result<(Entry, SharedContent), RunDataError> {
        Err(RunDataError::NotFound(format!("there is no {name}")))
    }

    fn list(
        &self,
        _model: Option<&ModelName>,
        _prefix: &str,
        _after: Option<&DataName>,
        _limit: u32,
    ) -> Result<Vec<Entry>, RunDataError> {
        Ok(Vec::new())
    }
}

impl RunLog for Nothing {
    fn line(&self, _level: &str, _text: &str) {}
}
