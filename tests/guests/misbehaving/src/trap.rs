//! Methods that end in a trap: a panic, and a stack without end.

use peat_sdk::prelude::*;
use serde_json::Value;

pub(crate) async fn trap(_: Run, _: Value) -> Result<String, Error> {
    panic!("a method that panics");
}

pub(crate) async fn overflow_stack(run: Run, _: Value) -> Result<String, Error> {
    Ok(deeper(run.id().len() as u64).to_string())
}

#[allow(unconditional_recursion, reason = "the point of it")]
fn deeper(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    deeper(frame[0] + 1) + frame[63]
}
