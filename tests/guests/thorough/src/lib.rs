//! `@test/thorough`: uses everything that a model may, as it is meant. One file a capability.
//!
//! What a method finds becomes data, log and summary: whatever runs it, they must be the same.

mod content;
mod items;
mod places;
mod surroundings;

use peat_sdk::prelude::*;

export_model! {
    name: "@test/thorough",
    summary: "Uses everything that a model may",
    wants: {
        "files": "reads a granted directory",
        "secrets": "measures a granted value",
    },
    types: {
        "@test/thorough": {
            summary: "Uses everything that a model may",
            methods: {
                "write" => items::write { summary: "Writes items with all attributes, one of them twice" },
                "read" => items::read { summary: "Reads what this and another model wrote, newest and older" },
                "list" => items::list {
                    summary: "Writes 1,200 items, or lists them in pages",
                    arguments: { "type": "object", "properties": { "listing": { "type": "boolean" } } },
                },
                "pack" => content::pack { summary: "Makes, slices, reads and hashes contents" },
                "large" => content::large {
                    summary: "Writes a content of so many MiB",
                    arguments: { "type": "object", "properties": { "mib": { "type": "integer" } } },
                },
                "concurrent" => content::concurrent {
                    summary: "Keeps many host calls under way at once",
                    arguments: { "type": "object", "properties": { "calls": { "type": "integer" } } },
                },
                "look" => surroundings::look { summary: "Looks at its invocation, settings, clock and randomness" },
                "say" => surroundings::say { summary: "Logs at every level, odd characters too" },
                "progress" => surroundings::progress {
                    summary: "Reports how far it has come",
                    arguments: { "type": "object", "properties": { "steps": { "type": "integer" } } },
                },
                "stay" => surroundings::stay { summary: "Computes or sleeps for ever" },
                "places" => places::places { summary: "Reads a granted directory" },
                "secret" => places::secret { summary: "Measures a granted value" },
                "errors" => places::errors { summary: "Meets every refusal, and tells its kind" },
            },
        },
    },
}
