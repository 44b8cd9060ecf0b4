//! `@examples/text`: profiles a text file of a granted directory. A complete model extension.

mod profile;

use peat_sdk::prelude::*;

/// Where the file is, and how many terms to keep. The host has checked them against the schema below.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    #[serde(default = "Arguments::directory")]
    directory: String,
    path: String,
    #[serde(default = "Arguments::top")]
    top: usize,
}

impl Arguments {
    fn directory() -> String {
        "source".to_owned()
    }

    fn top() -> usize {
        10
    }
}

async fn profile(_: Run, arguments: Arguments) -> Result<String, Error> {
    let folder = files::open(&arguments.directory).await?;
    let text = folder.read_text(&arguments.path).await?;
    let profile = profile::of(&arguments.path, &text, arguments.top);
    data::write_json("profile", &profile).await?;
    Ok(format!("{}: {} lines, {} words, {} bytes", profile.path, profile.lines, profile.words, profile.bytes))
}

export_model! {
    name: "@examples/text",
    summary: "Counts lines, words and bytes of text files, with their most frequent terms",
    wants: { "files": "reads the file it profiles" },
    types: {
        "@examples/text": {
            summary: "Text files of a granted directory",
            methods: {
                "profile" => profile {
                    summary: "Counts one file and writes its profile",
                    arguments: {
                        "type": "object",
                        "properties": {
                            "directory": { "type": "string", "default": "source", "description": "a granted directory" },
                            "path": { "type": "string", "description": "the file, relative to that directory" },
                            "top": { "type": "integer", "minimum": 0, "maximum": 1000, "default": 10 }
                        },
                        "required": ["path"],
                        "additionalProperties": false
                    },
                    writes: { "profile": "path, lines, words, bytes and the most frequent terms" },
                },
            },
        },
    },
}
