//! Writes every made guest into a directory, to look at it with other tools or to install it with the real binary.

use peat_test_guests as guests;

/// Makes one guest.
type Maker = fn() -> Vec<u8>;

const GUESTS: &[(&str, Maker)] = &[
    ("sound-model", guests::sound_model),
    ("sound-datastore", guests::sound_datastore),
    ("standard-library", guests::standard_library_model),
    ("not-wasm", guests::not_wasm),
    ("truncated", guests::truncated),
    ("core-module", guests::core_module),
    ("empty-component", guests::empty_component),
    ("model-without-methods", guests::model_without_methods),
    ("model-of-another-type", guests::model_of_another_type),
    ("datastore-without-sync", guests::datastore_without_sync),
    ("datastore-claiming-locks", guests::datastore_claiming_locks),
    ("model-importing-sockets", || guests::model_importing("wasi:sockets/tcp@0.2.6")),
    ("model-importing-http", || guests::model_importing("wasi:http/outgoing-handler@0.2.6")),
    ("model-importing-secrets", || guests::model_importing("peat:host/secrets@0.1.0")),
    ("without-metadata", guests::model_without_metadata),
    ("two-metadata-sections", guests::model_with_two_metadata_sections),
    ("metadata-no-json", guests::metadata_that_is_no_json),
    ("metadata-format", guests::metadata_of_another_format),
    ("metadata-unknown-key", guests::metadata_with_an_unknown_key),
    ("metadata-method-twice", guests::metadata_naming_a_method_twice),
    ("metadata-too-large", guests::metadata_too_large),
    ("metadata-nested", guests::metadata_nested_deep),
    ("nested", guests::component_of_nested_components),
    ("multiplied", guests::component_that_multiplies),
    ("nested-types", guests::model_with_nested_types),
    ("many-imports", guests::model_with_many_imports),
];

fn main() -> std::io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    std::fs::create_dir_all(&directory)?;
    for (name, make) in GUESTS {
        std::fs::write(format!("{directory}/{name}.wasm"), make())?;
    }
    for guest in guests::HOSTILE {
        std::fs::write(format!("{directory}/{}.wasm", guest.name), guest.extension())?;
    }
    println!("wrote {} guests to {directory}", GUESTS.len() + guests::HOSTILE.len());
    Ok(())
}
