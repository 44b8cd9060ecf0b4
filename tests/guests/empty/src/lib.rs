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
            },
        },
    },
}
