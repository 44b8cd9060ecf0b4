//! What a component is, read without compiling it.

use std::collections::BTreeSet;

use peat_core::digest::Digest;
use peat_core::metadata::{Kind, METADATA_BYTES_MAX, Metadata, SECTION};
use peat_core::ports::ExtensionError;
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use crate::convert::text::line;
use crate::grants::GrantedCapabilities;
use crate::host::too_large;
use crate::instances::{INSTANCES_MAX, instances};

/// What every model extension exports.
pub(crate) const METHODS: &str = "peat:model/methods@0.1.0";

/// What every datastore extension exports.
pub(crate) const DATASTORE_REQUIRED: [&str; 2] = ["peat:datastore/capabilities@0.1.0", "peat:datastore/sync@0.1.0"];

/// Components and modules inside of each other. Tools nest three or four; each level costs those who compile it more.
const NESTING_MAX: usize = 100;

/// Most imports or exports of one component: the contract has twenty, WASI as many.
const NAMES_MAX: usize = 1000;

/// What kind of extension a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InspectedKind {
    /// Provides model types.
    Models,
    /// Provides a datastore.
    Datastore,
}

/// A component that can be installed, as far as can be seen without compiling it.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// What it says of itself.
    pub metadata: Metadata,
    /// Interfaces it imports, sorted.
    pub imports: Vec<String>,
    /// Interfaces it exports, sorted.
    pub exports: Vec<String>,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
}

impl Inspected {
    /// What kind of extension it is.
    pub fn kind(&self) -> InspectedKind {
        kind_of(&self.metadata)
    }
}

/// Kind by metadata.
pub(crate) fn kind_of(metadata: &Metadata) -> InspectedKind {
    match metadata.kind {
        Kind::Models(_) => InspectedKind::Models,
        Kind::Datastore(_) => InspectedKind::Datastore,
    }
}

/// The interface of an optional datastore feature.
pub(crate) fn feature_interface(feature: &str) -> String {
    format!("peat:datastore/{feature}@0.1.0")
}

/// What errors about a component that is being installed call it: its own name, and the file it was found in.
pub(crate) fn named(file: &str, metadata: &Metadata) -> String {
    format!("{} ({file})", metadata.name)
}

/// Reads and checks a component. `file` is where it was found, for errors.
pub(crate) fn inspect(file: &str, bytes: &[u8], granted: &GrantedCapabilities) -> Result<Inspected, ExtensionError> {
    if let Some(error) = too_large(file, bytes.len() as u64) {
        return Err(error);
    }
    let outline = outline(bytes).map_err(|reason| unusable(file, reason))?;
    let section = outline.metadata.ok_or_else(|| {
        let reason = format!(
            "it carries no metadata (custom section {SECTION:?}); build it with the Peat SDK or `cargo xtask guests`"
        );
        unusable(file, reason)
    })?;
    let metadata = Metadata::parse(section).map_err(|error| unusable(file, error.to_string()))?;
    let name = named(file, &metadata);
    let kind = kind_of(&metadata);
    for import in &outline.imports {
        crate::imports::check(&name, import, kind, granted)?;
    }
    check_exports(&name, &metadata, &outline.exports)?;
    let features = WasmFeatures::default() | WasmFeatures::CM_ASYNC;
    Validator::new_with_features(features).validate_all(bytes).map_err(|error| unusable(&name, damaged(&error)))?;
    few_instances(bytes).map_err(|reason| unusable(&name, reason))?;
    Ok(Inspected {
        imports: outline.imports.into_iter().collect(),
        exports: outline.exports.into_iter().collect(),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        metadata,
    })
}

/// The surface of a component.
pub(crate) struct Outline<'a> {
    metadata: Option<&'a [u8]>,
    pub(crate) imports: BTreeSet<String>,
    pub(crate) exports: BTreeSet<String>,
}

/// The names at the surface of a component. Reads no function.
pub(crate) fn outline(bytes: &[u8]) -> Result<Outline<'_>, String> {
    if !bytes.starts_with(b"\0asm") {
        return Err("it is not a WebAssembly file".to_owned());
    }
    if Parser::is_core_wasm(bytes) {
        return Err("it is a core module, not a component; make one of it with `cargo xtask guests` or \
                    `wasm-tools component new`"
            .to_owned());
    }
    let mut outline = Outline { metadata: None, imports: BTreeSet::new(), exports: BTreeSet::new() };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| damaged(&error))? {
            Payload::Version { encoding, .. } => {
                if depth == 0 && encoding != Encoding::Component {
                    return Err("it is not a component".to_owned());
                }
                depth += 1;
                if depth > NESTING_MAX {
                    return Err(format!("it is nested deeper than {NESTING_MAX} components; use another extension"));
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                few_names(outline.imports.len(), section.count())?;
                for import in section {
                    outline.imports.insert(import.map_err(|error| damaged(&error))?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                few_names(outline.exports.len(), section.count())?;
                for export in section {
                    outline.exports.insert(export.map_err(|error| damaged(&error))?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if depth == 1 && section.name() == SECTION => {
                if outline.metadata.replace(section.data()).is_some() {
                    return Err(format!("it carries its metadata (custom section {SECTION:?}) more than once"));
                }
                if section.data().len() > METADATA_BYTES_MAX {
                    let found = section.data().len();
                    return Err(format!("its metadata has {found} bytes, at most {METADATA_BYTES_MAX} are allowed"));
                }
            }
            _ => {}
        }
    }
    Ok(outline)
}

/// Looks at the counts before the names: a file may claim millions.
fn few_names(known: usize, more: u32) -> Result<(), String> {
    if known.saturating_add(more as usize) > NAMES_MAX {
        return Err(format!("it has more than {NAMES_MAX} imports or exports; use another extension"));
    }
    Ok(())
}

/// Looks at how much a component means before anything is made of it: a small file may mean millions of instances.
fn few_instances(bytes: &[u8]) -> Result<(), String> {
    match instances(bytes).map_err(|error| damaged(&error))? {
        Some(count) if count <= INSTANCES_MAX => Ok(()),
        Some(_) => Err(format!("it is made of more than {INSTANCES_MAX} instances; use another extension")),
        None => Err("it instantiates components that it is only given; build it as one component".to_owned()),
    }
}

fn check_exports(extension: &str, metadata: &Metadata, exports: &BTreeSet<String>) -> Result<(), ExtensionError> {
    let (required, features): (&[&str], &[String]) = match &metadata.kind {
        Kind::Models(_) => (&[METHODS], &[]),
        Kind::Datastore(datastore) => (&DATASTORE_REQUIRED, &datastore.features),
    };
    for required in required {
        if !exports.contains(*required) {
            return Err(unusable(extension, missing_export(required, exports)));
        }
    }
    for feature in features {
        let interface = feature_interface(feature);
        if !exports.contains(&interface) {
            let reason = format!(
                "its metadata promises {feature:?} and it does not export {interface}; build it again with that \
                 interface, or without {feature:?} in its `features`"
            );
            return Err(unusable(extension, reason));
        }
    }
    Ok(())
}

fn missing_export(required: &str, exports: &BTreeSet<String>) -> String {
    let prefix = required.split('@').next().unwrap_or(required);
    match exports.iter().find(|export| export.starts_with(prefix)) {
        Some(other) => format!("it exports {other}, this peat needs {required}; use an extension built for that"),
        None => format!(
            "it does not export {required}, which every extension of its kind must; build it again with the export \
             macro of the Peat SDK, or for a world that exports it"
        ),
    }
}

fn damaged(error: &wasmparser::BinaryReaderError) -> String {
    line(&format!("it is truncated or damaged: {error}"))
}

fn unusable(extension: &str, reason: String) -> ExtensionError {
    ExtensionError::Unusable { extension: extension.to_owned(), reason }
}
