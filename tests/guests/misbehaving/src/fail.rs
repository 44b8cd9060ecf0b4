//! A method that cannot do what it was asked to, and says why.

use peat_sdk::prelude::*;
use serde_json::Value;

pub(crate) async fn fail(_: Run, _: Value) -> Result<String, Failure> {
    Err("the widget is broken; replace it and run again".into())
}

/// Data written before is kept, marked as of a failed run.
pub(crate) async fn fail_after_write(_: Run, _: Value) -> Result<String, Failure> {
    data::write_text("half", "the first half").await?;
    info!("wrote the first half");
    Err("the second half is missing; write it and run again".into())
}
