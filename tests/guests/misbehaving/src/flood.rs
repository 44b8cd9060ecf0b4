//! Methods that say too much: log, progress, summary.

use peat_sdk::prelude::*;
use serde_json::Value;

/// A gigabyte, in lines of a kibibyte.
const LOG_LINES: u32 = 1024 * 1024;
const LINE_BYTES: usize = 1024;

/// Far above what a person reads and what a host should carry.
const SUMMARY_BYTES: usize = 16 * 1024 * 1024;

pub(crate) async fn flood_log(_: Run, _: Value) -> Result<String, Error> {
    let line = "x".repeat(LINE_BYTES);
    for _ in 0..LOG_LINES {
        peat_sdk::log::write(peat_sdk::log::Level::Info, &line);
    }
    Ok("wrote a gigabyte of log".to_owned())
}

pub(crate) async fn flood_progress(_: Run, _: Value) -> Result<String, Error> {
    for done in 0..u64::from(LOG_LINES) {
        progress::items("flooding", done, None);
    }
    Ok("reported a million times".to_owned())
}

pub(crate) async fn flood_summary(_: Run, _: Value) -> Result<String, Error> {
    Ok("x".repeat(SUMMARY_BYTES))
}
