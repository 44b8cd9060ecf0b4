//! What is around a method: its invocation, settings, time, randomness, log and progress.

use std::time::Duration;

use peat_sdk::prelude::*;
use serde_json::{Value, json};

pub(crate) async fn look(run: Run, arguments: Value) -> Result<String, Failure> {
    let before = peat_sdk::clock::elapsed_ms();
    let wall = peat_sdk::clock::now_ms();
    peat_sdk::clock::sleep(Duration::from_millis(30)).await;
    let slept = peat_sdk::clock::elapsed_ms() - before;
    let random = peat_sdk::random::bytes(64);
    let settings: Value = peat_sdk::config::settings()?;
    let model_arguments: Value = run.model_arguments()?;
    let found = json!({
        "modelName": run.model_name(),
        "modelType": run.model_type(),
        "method": run.method(),
        "modelArguments": model_arguments,
        "arguments": arguments,
        "settings": settings,
        "idsAreThere": !run.id().is_empty() && !run.model_id().is_empty(),
        "sleptLongEnough": slept >= 30,
        // 2020-01-01 to 2200-01-01.
        "wallClockIsPlausible": (1_577_836_800_000..7_258_118_400_000).contains(&wall),
        "deadlineIsAhead": run.deadline_elapsed_ms() > before,
        "randomBytesDiffer": random[..32] != random[32..],
    });
    data::write_json("found", &found).await?;
    Ok("looked around".to_owned())
}

pub(crate) async fn say(_: Run, _: Value) -> Result<String, Error> {
    trace!("a trace");
    debug!("a detail");
    info!("several\nlines\n");
    warn!("a bell \u{7} and an escape \u{1b}[31m");
    error!("ümlaut, 漢字, tab\tend");
    info!("");
    info!("{}", "long ".repeat(3000));
    Ok("said\tit\nall".to_owned())
}

/// How many steps.
#[derive(Deserialize)]
pub(crate) struct Steps {
    steps: u64,
}

pub(crate) async fn progress(_: Run, arguments: Steps) -> Result<String, Error> {
    for done in 1..=arguments.steps {
        peat_sdk::progress::items("counting", done, Some(arguments.steps));
    }
    peat_sdk::progress::bytes("measuring", 1024, Some(1024));
    Ok(format!("{} steps", arguments.steps))
}

/// What to do for ever.
#[derive(Deserialize)]
pub(crate) struct Stay {
    computing: String,
}

/// Says that it is under way, then computes or sleeps until it is ended.
pub(crate) async fn stay(_: Run, arguments: Stay) -> Result<String, Error> {
    data::write_text("begun", "before the end that never came").await?;
    peat_sdk::progress::items("staying", 1, None);
    if arguments.computing == "true" {
        let mut count = 0_u64;
        loop {
            count = std::hint::black_box(count.wrapping_add(1));
        }
    }
    peat_sdk::clock::sleep(Duration::MAX).await;
    Ok("never comes".to_owned())
}
