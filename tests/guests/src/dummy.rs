//! A component of any WIT world whose functions trap: right on the outside, empty inside.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use wasm_encoder::{CustomSection, Section};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Function, Resolve, World, WorldItem, WorldKey};

/// The section that describes an extension.
const METADATA_SECTION: &str = "peat-extension";

/// A component of `world`, declared by the WIT text `source`. Packages of the contract named in `contract` ("host",
/// "model", "datastore") can be used by it. Of the functions that the world imports, only those of the interface
/// `imported` are: a world also imports whatever its exports take types from.
pub fn component(contract: &[&str], source: &str, world: &str, imported: Option<&str>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    for package in contract {
        resolve.push_dir(wit_directory(package)).expect("the contract is sound WIT");
    }
    let package = resolve.push_str("guest.wit", source).expect("the test's WIT is sound");
    let world = resolve.select_world(&[package], Some(world)).expect("the test's WIT declares the world");
    let text = module(&resolve, &resolve.worlds[world], imported);
    let mut module = wat::parse_str(text).expect("the generated text is sound");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("a module can carry its world");
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).expect("the module fits its world");
    encoder.encode().expect("the module becomes a component")
}

/// `component` with this metadata section appended.
pub fn with_metadata(mut component: Vec<u8>, metadata: &[u8]) -> Vec<u8> {
    CustomSection { name: Cow::Borrowed(METADATA_SECTION), data: Cow::Borrowed(metadata) }.append_to(&mut component);
    component
}

/// The directory of a package of the contract.
pub(crate) fn wit_directory(package: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit").join(package)
}

/// The text of a core module with the world's exports.
fn module(resolve: &Resolve, world: &World, imported: Option<&str>) -> String {
    let mut text = "(module\n".to_owned();
    for (interface, function) in functions(resolve, &world.imports) {
        if imported == Some(interface.as_str()) {
            let signature = signature(resolve, AbiVariant::GuestImport, function);
            text += &format!("(import \"{interface}\" \"{}\" (func {signature}))\n", function.name);
        }
    }
    text += "(memory (export \"memory\") 1)\n";
    text += "(func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) unreachable)\n";
    for (interface, function) in functions(resolve, &world.exports) {
        let signature = signature(resolve, AbiVariant::GuestExport, function);
        text += &format!("(func (export \"{interface}#{}\") {signature} unreachable)\n", function.name);
    }
    text + ")"
}

fn functions<'a>(
    resolve: &'a Resolve,
    items: impl IntoIterator<Item = (&'a WorldKey, &'a WorldItem)>,
) -> Vec<(String, &'a Function)> {
    let mut found = Vec::new();
    for (key, item) in items {
        if let WorldItem::Interface { id, .. } = item {
            let functions = resolve.interfaces[*id].functions.values();
            found.extend(functions.map(|function| (resolve.name_world_key(key), function)));
        }
    }
    found
}

fn signature(resolve: &Resolve, variant: AbiVariant, function: &Function) -> String {
    let signature = resolve.wasm_signature(variant, function);
    let name = |kind: &WasmType| match kind {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => " i32",
        WasmType::I64 | WasmType::PointerOrI64 => " i64",
        WasmType::F32 => " f32",
        WasmType::F64 => " f64",
    };
    let list = |kinds: &[WasmType]| kinds.iter().map(name).collect::<String>();
    format!("(param{}) (result{})", list(&signature.params), list(&signature.results))
}
