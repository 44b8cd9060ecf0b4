//! A method that computes for ever and never waits.

use peat_sdk::prelude::*;
use serde_json::Value;

pub(crate) async fn spin(_: Run, _: Value) -> Result<String, Error> {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}
