//! A method executor that runs a closure.

use std::pin::Pin;

use async_trait::async_trait;
use peat_core::ports::{Invocation, MethodError, MethodExecutor, MethodOutcome, RunData, RunLog};

type Method = dyn for<'a> Fn(
        &'a Invocation,
        &'a dyn RunData,
        &'a dyn RunLog,
    ) -> Pin<Box<dyn Future<Output = Result<MethodOutcome, MethodError>> + Send + 'a>>
    + Send
    + Sync;

/// Runs the closure it was made of, whatever the method.
pub struct ClosureExecutor {
    method: Box<Method>,
}

impl std::fmt::Debug for ClosureExecutor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ClosureExecutor")
    }
}

impl ClosureExecutor {
    /// An executor of `method`.
    pub fn new(
        method: impl for<'a> Fn(
            &'a Invocation,
            &'a dyn RunData,
            &'a dyn RunLog,
        ) -> Pin<Box<dyn Future<Output = Result<MethodOutcome, MethodError>> + Send + 'a>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self { method: Box::new(method) }
    }
}

#[async_trait]
impl MethodExecutor for ClosureExecutor {
    async fn execute(
        &self,
        invocation: &Invocation,
        data: &dyn RunData,
        log: &dyn RunLog,
    ) -> Result<MethodOutcome, MethodError> {
        (self.method)(invocation, data, log).await
    }
}
