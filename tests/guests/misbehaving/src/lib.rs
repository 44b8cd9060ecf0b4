//! `@test/misbehaving`: one method for every way a guest can be bad. One file a kind.

mod escape;
mod exhaust;
mod fail;
mod flood;
mod spin;
mod trap;
mod wait;

use peat_sdk::prelude::*;

export_model! {
    name: "@test/misbehaving",
    summary: "Every way to be a bad guest",
    wants: {
        "files": "tries to leave the granted directory",
        "secrets": "tries to read what was not granted",
    },
    types: {
        "@test/misbehaving": {
            summary: "Every way to be a bad guest",
            methods: {
                "fail" => fail::fail { summary: "Fails and says why" },
                "fail-after-write" => fail::fail_after_write { summary: "Writes data, then fails" },
                "trap" => trap::trap { summary: "Panics" },
                "overflow-stack" => trap::overflow_stack { summary: "Calls itself without end" },
                "spin" => spin::spin { summary: "Computes for ever" },
                "wait-for-nothing" => wait::wait_for_nothing { summary: "Never resolves" },
                "sleep-for-ever" => wait::sleep_for_ever { summary: "Waits longer than any deadline" },
                "allocate" => exhaust::allocate { summary: "Allocates without end" },
                "hoard-blobs" => exhaust::hoard_blobs { summary: "Makes handles without end" },
                "flood-data" => exhaust::flood_data { summary: "Writes 256 MiB of content" },
                "flood-log" => flood::flood_log { summary: "Logs a gigabyte" },
                "flood-progress" => flood::flood_progress { summary: "Reports progress a million times" },
                "flood-summary" => flood::flood_summary { summary: "Ends with 16 MiB of summary" },
                "write-named" => escape::write_named { summary: "Writes data under any name" },
                "open-folder" => escape::open_folder { summary: "Opens any folder" },
                "read-path" => escape::read_path { summary: "Reads any path of a granted folder" },
                "read-secret" => escape::read_secret { summary: "Reads any secret" },
                "read-foreign" => escape::read_foreign {
                    summary: "Reads data of another model",
                    arguments: {
                        "type": "object",
                        "properties": {
                            "name": { "type": "string" },
                            "data": { "type": "string" },
                            "version": { "type": "integer", "minimum": 1 }
                        },
                        "required": ["name"],
                        "additionalProperties": false
                    },
                },
                "strict" => escape::strict {
                    summary: "Takes one number",
                    arguments: {
                        "type": "object",
                        "properties": { "count": { "type": "integer", "minimum": 1 } },
                        "required": ["count"],
                        "additionalProperties": false
                    },
                },
            },
        },
    },
}
