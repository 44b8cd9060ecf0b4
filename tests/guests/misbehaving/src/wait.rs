//! Methods that wait for what never comes.

use std::time::Duration;

use peat_sdk::prelude::*;
use serde_json::Value;

/// Waits for nothing at all: no host call is under way.
pub(crate) async fn wait_for_nothing(_: Run, _: Value) -> Result<String, Error> {
    std::future::pending().await
}

/// Waits for a host call that takes longer than any deadline.
pub(crate) async fn sleep_for_ever(_: Run, _: Value) -> Result<String, Error> {
    peat_sdk::clock::sleep(Duration::MAX).await;
    Ok("slept for ever".to_owned())
}
