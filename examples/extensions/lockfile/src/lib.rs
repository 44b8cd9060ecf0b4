//! `@examples/lockfile`: the inventory of a `Cargo.lock` in a granted directory.

mod inventory;

use peat_sdk::prelude::*;

/// Where the lock file is. The host has checked it against the schema below.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    directory: String,
    path: String,
}

impl Default for Arguments {
    fn default() -> Self {
        Self { directory: "source".to_owned(), path: "Cargo.lock".to_owned() }
    }
}

async fn inventory(_: Run, arguments: Arguments) -> Result<String, Error> {
    let folder = files::open(&arguments.directory).await?;
    let text = folder.read_text(&arguments.path).await?;
    let inventory = inventory::of(&text).map_err(|reason| Error::invalid_input(&arguments.path, reason))?;
    debug!("{} has {} packages", arguments.path, inventory.packages.len());
    data::write_json("packages", &inventory.packages).await?;
    data::write_json("duplicates", &inventory.duplicates).await?;
    data::write_json("summary", &inventory.summary).await?;
    Ok(format!("{} packages, {} in more than one version", inventory.packages.len(), inventory.duplicates.len()))
}

export_model! {
    name: "@examples/lockfile",
    summary: "Inventory of a Cargo.lock: packages, duplicates, totals",
    wants: { "files": "reads the Cargo.lock" },
    types: {
        "@examples/lockfile": {
            summary: "The dependencies that a Cargo.lock fixes",
            methods: {
                "inventory" => inventory {
                    summary: "Reads the lock file and writes what is in it",
                    arguments: {
                        "type": "object",
                        "properties": {
                            "directory": { "type": "string", "default": "source", "description": "a granted directory" },
                            "path": { "type": "string", "default": "Cargo.lock", "description": "the file in it" }
                        },
                        "additionalProperties": false
                    },
                    writes: {
                        "packages": "every package: name, version, source, number of dependencies",
                        "duplicates": "packages that occur in more than one version",
                        "summary": "totals",
                    },
                },
            },
        },
    },
}
