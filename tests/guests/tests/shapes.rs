//! Each made guest has the defect it is named after, and no other.

#![allow(clippy::unwrap_used, reason = "tests")]

use peat_core::metadata::{Metadata, MetadataError};
use peat_test_guests as guests;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// Names of imports, names of exports, metadata sections of a component.
#[derive(Debug, Default)]
struct Shape {
    imports: Vec<String>,
    exports: Vec<String>,
    metadata: Vec<Vec<u8>>,
}

fn shape(component: &[u8]) -> Shape {
    Validator::new_with_features(WasmFeatures::all()).validate_all(component).expect("a valid component");
    let mut shape = Shape::default();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 0 => {
                shape.imports.extend(imports.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                shape.exports.extend(exports.into_iter().map(|export| export.unwrap().name.name.to_owned()));
            }
            Payload::CustomSection(section) if depth == 0 && section.name() == "peat-extension" => {
                shape.metadata.push(section.data().to_vec());
            }
            _ => {}
        }
    }
    shape
}

fn metadata(component: &[u8]) -> Result<Metadata, MetadataError> {
    Metadata::parse(&shape(component).metadata[0])
}

#[test]
fn sound_guests_have_their_exports_and_metadata_that_parses() {
    let model = guests::sound_model();
    assert_eq!(shape(&model).exports, ["peat:model/methods@0.1.0"]);
    assert_eq!(metadata(&model).unwrap().name.as_str(), "@test/dummy");
    let datastore = guests::sound_datastore();
    assert_eq!(shape(&datastore).exports, ["peat:datastore/capabilities@0.1.0", "peat:datastore/sync@0.1.0"]);
    assert_eq!(metadata(&datastore).unwrap().name.as_str(), "@test/store");
}

#[test]
fn a_guest_with_wrong_exports_has_sound_metadata() {
    for (guest, exports) in [
        (guests::model_without_methods(), vec![]),
        (guests::model_of_another_type(), vec!["peat:model/methods@0.1.0"]),
        (guests::datastore_without_sync(), vec!["peat:datastore/capabilities@0.1.0"]),
        (guests::datastore_claiming_locks(), vec!["peat:datastore/capabilities@0.1.0", "peat:datastore/sync@0.1.0"]),
    ] {
        assert_eq!(shape(&guest).exports, exports);
        metadata(&guest).unwrap();
    }
}

#[test]
fn an_ungranted_import_is_there_under_its_name() {
    for name in ["wasi:sockets/tcp@0.2.6", "wasi:http/outgoing-handler@0.2.6", "peat:host/secrets@0.1.0"] {
        let shape = shape(&guests::model_importing(name));
        assert!(shape.imports.iter().any(|import| import == name), "{:?}", shape.imports);
        assert_eq!(shape.exports, ["peat:model/methods@0.1.0"]);
    }
}

#[test]
fn wrong_metadata_is_wrong_in_the_way_it_is_named_after() {
    assert!(matches!(metadata(&guests::metadata_that_is_no_json()), Err(MetadataError::Syntax(_))));
    assert!(matches!(metadata(&guests::metadata_of_another_format()), Err(MetadataError::Format { found: 2 })));
    assert!(matches!(metadata(&guests::metadata_too_large()), Err(MetadataError::TooLarge { .. })));
    assert!(matches!(metadata(&guests::metadata_naming_a_method_twice()), Err(MetadataError::Rule { .. })));
    let unknown = metadata(&guests::metadata_with_an_unknown_key()).unwrap_err().to_string();
    assert!(unknown.contains("colour"), "{unknown}");
    assert_eq!(shape(&guests::model_without_metadata()).metadata.len(), 0);
    assert_eq!(shape(&guests::model_with_two_metadata_sections()).metadata.len(), 2);
}

#[test]
fn malformed_files_are_no_components() {
    for bytes in [guests::not_wasm(), guests::truncated()] {
        assert!(Validator::new_with_features(WasmFeatures::all()).validate_all(&bytes).is_err());
    }
    assert!(Parser::is_core_wasm(&guests::core_module()));
    assert_eq!(shape(&guests::empty_component()).exports, Vec::<String>::new());
}

#[test]
fn a_guest_of_a_standard_library_imports_wasi_and_exports_the_model() {
    let model = guests::standard_library_model();
    let shape = shape(&model);
    for import in ["wasi:cli/stdout@0.2", "wasi:clocks/", "wasi:random/random@0.2", "wasi:filesystem/preopens@0.2"] {
        assert!(shape.imports.iter().any(|name| name.starts_with(import)), "{import} in {:?}", shape.imports);
    }
    assert_eq!(shape.exports, ["peat:model/methods@0.1.0"]);
    assert_eq!(metadata(&model).unwrap().name.as_str(), "@test/standard-library");
    assert_eq!(guests::STANDARD_OUTPUT_LINE.len() + 1, 30, "the length in the module's text");
}

#[test]
fn the_table_of_hostile_guests_has_each_of_them_and_how_it_ends() {
    let table = include_str!("../README.md");
    for guest in guests::HOSTILE {
        let ends = match guest.ends {
            guests::Ends::Well => "answers".to_owned(),
            guests::Ends::Deadline => "deadline".to_owned(),
            guests::Ends::Trap(because) => format!("trap: {because}"),
            guests::Ends::Limit(limit) => format!("limit: {limit}"),
        };
        let row = format!("| `{}` | {} | {ends} |", guest.name, guest.does());
        assert!(table.contains(&row), "README.md lacks {row}");
    }
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/hostile")).unwrap().count();
    assert_eq!(files, guests::HOSTILE.len(), "every file of hostile/ is a guest");
}

#[test]
fn every_hostile_guest_is_a_valid_model() {
    for guest in guests::HOSTILE {
        let component = guest.extension();
        assert_eq!(shape(&component).exports, ["peat:model/methods@0.1.0"], "{}", guest.name);
        assert_eq!(metadata(&component).unwrap().name.as_str(), format!("@test/{}", guest.name));
    }
}
