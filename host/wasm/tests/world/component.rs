//! Components made of a core module in text: the smallest thing that can misbehave.

use std::path::PathBuf;

use serde_json::{Value, json};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The core signature of `peat:model/methods.run`, lifted synchronously.
pub const RUN: &str = r#"(func (export "peat:model/methods@0.1.0#run")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)"#;

/// Metadata of a model extension.
pub fn model_metadata() -> Value {
    json!({
        "format": 1, "name": "@test/guest", "version": "0.1.0", "summary": "a guest of a test",
        "models": [{ "name": "@test/guest", "summary": "misbehaves", "methods": [{ "name": "run", "summary": "runs" }] }]
    })
}

/// Metadata of a datastore extension.
pub fn datastore_metadata(features: &[&str]) -> Value {
    json!({
        "format": 1, "name": "@test/store", "version": "0.1.0", "summary": "a datastore of a test",
        "datastore": { "features": features }
    })
}

/// A model extension whose `run` has `body`, beside other `items` of its module. The body may leave the result to
/// `(call $ok)`, which says that all went well.
pub fn model(items: &str, body: &str) -> Vec<u8> {
    model_with(&model_module(items, &format!("{RUN} (local $i i32)\n{body})")), &model_metadata())
}

/// A model extension of a whole module.
pub fn model_with(module: &str, metadata: &Value) -> Vec<u8> {
    component("peat:model/model", module, metadata)
}

/// The module around `run`: memory, allocation, and an outcome at 2048.
pub fn model_module(items: &str, run: &str) -> String {
    let memory = if items.contains("(memory") { "" } else { "(memory (export \"memory\") 2)" };
    // Imports come before everything else.
    let (imports, items): (Vec<&str>, Vec<&str>) =
        items.lines().partition(|line| line.trim_start().starts_with("(import"));
    format!(
        r#"(module
            {}
            {memory}
            (global $heap (mut i32) (i32.const 8192))
            (data (i32.const 1024) "done")
            (func $ok (result i32)
                (i32.store8 (i32.const 2048) (i32.const 0))
                (i32.store (i32.const 2052) (i32.const 1024))
                (i32.store (i32.const 2056) (i32.const 4))
                (i32.const 2048))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $place i32)
                (local.set $place (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                (global.set $heap (i32.add (local.get $place) (local.get 3)))
                (local.get $place))
            {}
            {run})"#,
        imports.join("\n"),
        items.join("\n")
    )
}

/// A component of a world of the contract, such as `peat:model/model`.
pub fn component(world: &str, module: &str, metadata: &Value) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    let (package, name) = world.split_once('/').unwrap();
    let wit = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::default();
    resolve.push_dir(wit.join("host")).unwrap();
    let (package, _) = resolve.push_dir(wit.join(package.strip_prefix("peat:").unwrap())).unwrap();
    let world = resolve.select_world(&[package], Some(name)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false).unwrap();
    let component = ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap();
    peat_test_guests::with_metadata(component, metadata.to_string().as_bytes())
}
