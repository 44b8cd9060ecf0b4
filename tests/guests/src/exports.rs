//! Components whose exports are right, or are wrong in one point.

use crate::dummy::{component, with_metadata};
use crate::metadata::MODEL_METADATA;

/// Metadata of a datastore with `features`, a JSON list.
fn datastore_metadata(features: &str) -> String {
    format!(
        r#"{{"format":1,"name":"@test/store","version":"0.1.0","summary":"A store","datastore":{{"features":{features}}}}}"#
    )
}

/// Everything a model must have; running it traps.
pub fn sound_model() -> Vec<u8> {
    let source = "package test:guest; world guest { export peat:model/methods@0.1.0; }";
    with_metadata(component(&["host", "model"], source, "guest", None), MODEL_METADATA.as_bytes())
}

/// Everything a datastore must have; using it traps.
pub fn sound_datastore() -> Vec<u8> {
    datastore("export peat:datastore/capabilities@0.1.0; export peat:datastore/sync@0.1.0;", "[]")
}

/// A model whose component exports nothing.
pub fn model_without_methods() -> Vec<u8> {
    let source = "package test:guest; world guest { }";
    with_metadata(component(&[], source, "guest", None), MODEL_METADATA.as_bytes())
}

/// A model whose `run` has the right name and another type.
pub fn model_of_another_type() -> Vec<u8> {
    let source = "package peat:model@0.1.0;
        interface methods { run: func(invocation: string) -> string; }
        world guest { export methods; }";
    with_metadata(component(&[], source, "guest", None), MODEL_METADATA.as_bytes())
}

/// A datastore that exports `capabilities` alone.
pub fn datastore_without_sync() -> Vec<u8> {
    datastore("export peat:datastore/capabilities@0.1.0;", "[]")
}

/// A datastore whose metadata promises leases that it does not export.
pub fn datastore_claiming_locks() -> Vec<u8> {
    datastore("export peat:datastore/capabilities@0.1.0; export peat:datastore/sync@0.1.0;", r#"["locks"]"#)
}

fn datastore(exports: &str, features: &str) -> Vec<u8> {
    let source = format!("package test:guest; world guest {{ {exports} }}");
    let component = component(&["host", "datastore"], &source, "guest", None);
    with_metadata(component, datastore_metadata(features).as_bytes())
}
