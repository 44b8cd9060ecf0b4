//! `@test/empty`: the least a model can do, for measuring and for following a value through a run.

use peat_sdk::prelude::*;

async fn nothing(_: Run, _: serde_json::Value) -> Result<String, Error> {
    Ok("did nothing".to_owned())
}

async fn echo(_: Run, arguments: serde_json::Value) -> Result<String, Error> {
    data::write_json("echo", &arguments).await?;
    info!("echoed {arguments}");
    Ok("echoed its arguments".to_owned())
}

/// How long to sleep.
#[derive(Deserialize)]
struct Sleep {
    duration_ms: u64,
}

async fn sleep(run: Run, arguments: Sleep) -> Result<String, Error> {
    info!("{} sleeps", run.model_name());
    peat_sdk::clock::sleep(std::time::Duration::from_millis(arguments.duration_ms)).await;
    data::write_json("slept", &arguments.duration_ms).await?;
    Ok(format!("slept {} ms", arguments.duration_ms))
}

/// How often to ask.
#[derive(Deserialize)]
struct Ask {
    calls: u32,
}

/// Asks the host for the time, over and over: what such a call costs is measured by whoever waits for the end.
async fn ask(_: Run, arguments: Ask) -> Result<String, Error> {
    let mut last = 0;
    for _ in 0..arguments.calls {
        last = peat_sdk::clock::elapsed_ms().max(last);
    }
    Ok(format!("asked {} times, at {last} ms at last", arguments.calls))
}

export_model! {
    name: "@test/empty",
    summary: "Does nothing, or says it again",
    types: {
        "@test/empty": {
            summary: "Does nothing, or says it again",
            methods: {
                "nothing" => nothing { summary: "Ends at once" },
                "echo" => echo {
                    summary: "Writes its arguments as data",
                    writes: { "echo": "the arguments" },
                },
                "ask" => ask { summary: "Asks the host for the time, often" },
                "sleep" => sleep {
                    summary: "Holds its lease for a while, then writes how long",
                    arguments: {
                        "type": "object",
                        "properties": { "duration_ms": { "type": "integer", "minimum": 0 } },
                        "required": ["duration_ms"],
                        "additionalProperties": false
                    },
                    writes: { "slept": "the duration in milliseconds" },
                },
            },
        },
    },
}
