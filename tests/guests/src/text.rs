//! Extensions made of a core module in text: the smallest thing that can misbehave.

use serde_json::{Value, json};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::dummy::{wit_directory, with_metadata};

/// The core signature of `peat:model/methods.run`.
const RUN_PARAMETERS: &str = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)";

/// What a model needs beside its behaviour: texts of answers, and functions that leave an answer at 2048. `$ok` answers
/// "done", `$leaked` fails because something was had that nobody granted.
const ANSWERS: &str = r#"
(data (i32.const 1024) "done")
(data (i32.const 1040) "the host leaked")
(func $ok (result i32)
  (i32.store8 (i32.const 2048) (i32.const 0))
  (i32.store (i32.const 2052) (i32.const 1024))
  (i32.store (i32.const 2056) (i32.const 4))
  (i32.const 2048))
(func $leaked (result i32)
  (i32.store8 (i32.const 2048) (i32.const 1))
  (i32.store (i32.const 2052) (i32.const 1040))
  (i32.store (i32.const 2056) (i32.const 15))
  (i32.store8 (i32.const 2060) (i32.const 0))
  (i32.const 2048))
"#;

/// Allocates upwards from 8192 and frees nothing.
const ALLOCATION: &str = r#"
(global $heap (mut i32) (i32.const 8192))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  (local $place i32)
  (local.set $place (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
  (global.set $heap (i32.add (local.get $place) (local.get 3)))
  (local.get $place))
"#;

/// Metadata of a model extension `@test/{name}` with the one method `run`, which wants the capability `wants`, if any.
pub fn model_metadata(name: &str, wants: Option<&str>) -> Value {
    let name = format!("@test/{name}");
    let wants: Vec<Value> = wants
        .iter()
        .map(|capability| json!({ "capability": capability, "reason": "tries to get beyond it" }))
        .collect();
    json!({
        "format": 1, "name": name, "version": "0.1.0", "summary": "a guest of a test", "wants": wants,
        "models": [{ "name": name, "summary": "misbehaves", "methods": [{ "name": "run", "summary": "runs" }] }]
    })
}

/// Metadata of a datastore extension.
pub fn datastore_metadata(features: &[&str]) -> Value {
    json!({
        "format": 1, "name": "@test/store", "version": "0.1.0", "summary": "a datastore of a test",
        "datastore": { "features": features }
    })
}

/// A model extension whose module has these `items`: a function `$run` that leaves the address of its answer, or the two
/// functions `$start` and `$event` of a method that waits by callbacks.
pub fn model(items: &str, metadata: &Value) -> Vec<u8> {
    let run = "peat:model/methods@0.1.0#run";
    let exports = if items.contains("(func $start") {
        format!(
            "(func (export \"[async-lift]{run}\") {RUN_PARAMETERS} (call $start))
             (func (export \"[callback][async-lift]{run}\") (param i32 i32 i32) (result i32)
               (call $event (local.get 0) (local.get 1) (local.get 2)))"
        )
    } else {
        format!("(func (export \"{run}\") {RUN_PARAMETERS} (call $run))")
    };
    extension("peat:model/model", &format!("{items}\n{exports}"), metadata)
}

/// An extension of a world of the contract, such as `peat:model/model`. Its module has these `items`, imports first, and
/// beside them `$ok`, `$leaked`, and memory and allocation where `items` has none. What imports `wasi_snapshot_preview1`
/// gets the usual adapter.
pub fn extension(world: &str, items: &str, metadata: &Value) -> Vec<u8> {
    let needs_adapter = items.contains(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME);
    let mut module = wat::parse_str(module(items)).unwrap_or_else(|error| panic!("{}: {error}", metadata["name"]));
    let (package, name) = world.split_once('/').expect("a world has a package");
    let mut resolve = Resolve::default();
    resolve.push_dir(wit_directory("host")).expect("the contract is sound WIT");
    let package = wit_directory(package.strip_prefix("peat:").expect("the packages of the contract are of peat"));
    let (package, _) = resolve.push_dir(package).expect("the contract is sound WIT");
    let world = resolve.select_world(&[package], Some(name)).expect("the contract has the world");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("a module can carry its world");
    let mut encoder = ComponentEncoder::default();
    let named = &metadata["name"];
    let fits = encoder.validate(true).module(&module).map(drop);
    fits.unwrap_or_else(|error| panic!("{named}: the module does not fit its world: {error:#}"));
    if needs_adapter {
        let adapted = encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER);
        adapted.expect("the adapter fits the encoder");
    }
    let component = encoder.encode().unwrap_or_else(|error| panic!("{named}: {error:#}"));
    with_metadata(component, metadata.to_string().as_bytes())
}

fn module(items: &str) -> String {
    let memory = if items.contains("(memory ") { "" } else { "(memory (export \"memory\") 2)" };
    let allocation = if items.contains("cabi_realloc") { "" } else { ALLOCATION };
    format!("(module\n{items}\n{memory}\n{allocation}\n{ANSWERS})")
}
