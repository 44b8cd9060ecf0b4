//! A component of any WIT world whose functions trap: right on the outside, empty inside.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use wasm_encoder::{CustomSection, Encode, Section};
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve};

/// The section that describes an extension.
const METADATA_SECTION: &str = "peat-extension";

/// A component of `world`, declared by the WIT text `source`. Packages of the contract named in `contract` ("host",
/// "model", "datastore") can be used by it.
pub fn component(contract: &[&str], source: &str, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    for package in contract {
        resolve.push_dir(wit_directory(package)).expect("the contract is sound WIT");
    }
    let package = resolve.push_str("guest.wit", source).expect("the test's WIT is sound");
    let world = resolve.select_world(&[package], Some(world)).expect("the test's WIT declares the world");
    let mut module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(LiftLowerAbi::Sync));
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("a module can carry its world");
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).expect("a dummy module fits its world");
    encoder.encode().expect("a dummy module becomes a component")
}

/// `component` with this metadata section appended.
pub fn with_metadata(mut component: Vec<u8>, metadata: &[u8]) -> Vec<u8> {
    let section = CustomSection { name: Cow::Borrowed(METADATA_SECTION), data: Cow::Borrowed(metadata) };
    component.push(section.id());
    section.encode(&mut component);
    component
}

fn wit_directory(package: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit").join(package)
}
