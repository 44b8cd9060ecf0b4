//! One request: it waits its turn, is watched for progress, and its answer's time is kept.

use std::error::Error;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_runtime::auth::PayloadSigningOverride;
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use tokio::sync::OwnedSemaphorePermit;

use super::Inner;
use super::body::Outgoing;
use super::failure::{Refusal, http_date_ms};

/// Fewer bytes than these within the time allowed are no progress: a connection that drips is as good as dead.
const PROGRESS_BYTES_MIN: u64 = 4 * 1024;

/// An answer and what belongs to it.
pub(super) struct Exchange<T> {
    /// The SDK's output.
    pub(super) output: T,
    /// Goes on watching, where a body follows.
    pub(super) watch: Watch,
    /// Held as long as the exchange goes on.
    pub(super) turn: OwnedSemaphorePermit,
}

impl Inner {
    /// Makes one request, once. `sent` is the body that `request` sends: its bytes are signed as a whole and then handed
    /// to the connection in frames.
    pub(super) async fn exchange<T, E, F>(
        &self,
        sent: Option<Outgoing>,
        request: impl FnOnce(Watch) -> F,
    ) -> Result<Exchange<T>, Refusal>
    where
        E: ProvideErrorMetadata + Error + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let turn = Arc::clone(&self.requests).acquire_owned().await.expect("nobody closes the semaphore");
        let watch = Watch::of(sent);
        // The futures of the SDK are large.
        let answered = Box::pin(request(watch.clone()));
        match watch.unless_stalled(self.no_progress, answered).await? {
            Ok(output) => Ok(Exchange { output, watch, turn }),
            Err(error) => Err(Refusal::of(&error)),
        }
    }
}

/// Watches one request. The SDK calls it as an interceptor.
#[derive(Debug, Clone)]
pub(super) struct Watch(Arc<Watched>);

#[derive(Debug)]
struct Watched {
    sent: Option<Outgoing>,
    moved: AtomicU64,
    answered_at_ms: OnceLock<u64>,
}

impl Watch {
    pub(super) fn of(sent: Option<Outgoing>) -> Self {
        Self(Arc::new(Watched { sent, moved: AtomicU64::new(0), answered_at_ms: OnceLock::new() }))
    }

    /// Notes that bytes went either way.
    pub(super) fn moved(&self, bytes: usize) {
        self.0.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// The store's clock at its answer, in milliseconds since the Unix epoch. Without it nobody could tell how old a lease
    /// is, so an answer that has none is of no use.
    pub(super) fn store_time_ms(&self) -> Result<u64, Refusal> {
        let missing = || Refusal::NoAnswer("the answer bears no date, so the store's time is unknown".to_owned());
        self.0.answered_at_ms.get().copied().ok_or_else(missing)
    }

    /// Carries `work` out, unless it makes no progress for a period as long as `allowed`.
    pub(super) async fn unless_stalled<T>(
        &self,
        allowed: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, Refusal> {
        let mut work = pin!(work);
        loop {
            let before = self.0.moved.load(Ordering::Relaxed);
            match tokio::time::timeout(allowed, &mut work).await {
                Ok(done) => return Ok(done),
                Err(_) if self.0.moved.load(Ordering::Relaxed).saturating_sub(before) >= PROGRESS_BYTES_MIN => {}
                Err(_) => return Err(Refusal::NoAnswer(format!("no progress for {} s", allowed.as_secs_f32()))),
            }
        }
    }
}

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "peat: progress and time"
    }

    fn modify_before_signing(
        &self,
        _context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(digest) = self.0.sent.as_ref().and_then(Outgoing::digest) {
            config.interceptor_state().store_put(PayloadSigningOverride::Precomputed(digest.to_string()));
        }
        Ok(())
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(sent) = &self.0.sent {
            *context.request_mut().body_mut() = sent.body(self.clone());
        }
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date").and_then(http_date_ms) {
            let _ = self.0.answered_at_ms.set(date);
        }
        Ok(())
    }
}
