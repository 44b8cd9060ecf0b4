//! What a bundle is, authenticated: the manifest in it.
//!
//! JSON of format 1. The MAC is over all other fields as they were read, so that it does not depend on how the file is
//! written.

use peat_core::digest::Digest;
use peat_core::metadata::Metadata;
use peat_core::ports::ExtensionError;
use serde::{Deserialize, Serialize};

use super::ArtifactKey;
use super::key_file::AuthenticationKey;
use crate::inspect::outline;

/// Name of the manifest in a bundle.
pub(super) const MANIFEST: &str = "manifest.json";

/// Largest manifest that is read, in bytes; one has some 2,000. A component may have a thousand imports and exports.
pub(super) const MANIFEST_BYTES_MAX: u64 = 256 * 1024;

/// Format of manifests that this build reads and writes.
const FORMAT: u32 = 1;

/// What a bundle is of, and what its component needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    /// Name of the extension.
    extension: String,
    /// Its version.
    version: String,
    /// SHA-256 of the component.
    wasm: Digest,
    /// Key of the engine.
    engine: String,
    /// SHA-256 of the native code.
    pub(super) artifact: Digest,
    /// Its length in bytes.
    pub(super) length: u64,
    /// Interfaces that the component imports, sorted.
    imports: Vec<String>,
    /// Interfaces that it exports, sorted.
    exports: Vec<String>,
    /// Hexadecimal; empty until sealed.
    #[serde(default)]
    mac: String,
}

impl Manifest {
    /// The manifest of a component, which is `wasm`, and of the native code that was made of it.
    pub(super) fn of(
        metadata: &Metadata,
        key: &ArtifactKey<'_>,
        wasm: &[u8],
        native: &[u8],
    ) -> Result<Self, ExtensionError> {
        let unusable = |reason| ExtensionError::Unusable { extension: metadata.name.to_string(), reason };
        let outline = outline(wasm).map_err(unusable)?;
        Ok(Self {
            format: FORMAT,
            extension: metadata.name.to_string(),
            version: metadata.version.clone(),
            wasm: key.wasm,
            engine: key.engine.to_owned(),
            artifact: Digest::of(native),
            length: native.len() as u64,
            imports: outline.imports.into_iter().collect(),
            exports: outline.exports.into_iter().collect(),
            mac: String::new(),
        })
    }

    /// The bytes to keep.
    pub(super) fn seal(&self, key: &AuthenticationKey) -> Vec<u8> {
        Self { mac: key.seal(&self.text()), ..self.clone() }.json()
    }

    /// Reads a manifest and checks that this user made it for this engine and component.
    pub(super) fn verify(
        bytes: &[u8],
        authentication: &AuthenticationKey,
        key: &ArtifactKey<'_>,
    ) -> Result<Self, String> {
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("its manifest does not parse: {error}"))?;
        if !authentication.has_sealed(&manifest.text(), &manifest.mac) {
            return Err("its manifest was not made with this user's key".to_owned());
        }
        if manifest.format != FORMAT || manifest.engine != key.engine || manifest.wasm != key.wasm {
            return Err("its manifest is of another bundle".to_owned());
        }
        Ok(manifest)
    }

    /// Whether a file with this digest and this length is the native code; there may be none.
    pub(super) fn fits(&self, found: Option<(Digest, u64)>) -> bool {
        found == Some((self.artifact, self.length))
    }

    /// What the MAC is of.
    fn text(&self) -> Vec<u8> {
        let unsealed = Self { mac: String::new(), ..self.clone() };
        [b"peat bundle\n", &*unsealed.json()].concat()
    }

    fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest is plain text and numbers")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            extension: "@test/guest".to_owned(),
            version: "0.1.0".to_owned(),
            wasm: Digest::of(b"wasm"),
            engine: "engine".to_owned(),
            artifact: Digest::of(b"native"),
            length: 6,
            imports: vec!["peat:host/log@0.1.0".to_owned()],
            exports: vec!["peat:model/methods@0.1.0".to_owned()],
            mac: String::new(),
        }
    }

    #[test]
    fn a_manifest_is_valid_only_with_its_key_its_engine_and_its_component() {
        let (one, other) = (AuthenticationKey::of([1; 32]), AuthenticationKey::of([2; 32]));
        let sealed = manifest().seal(&one);
        let key = ArtifactKey { engine: "engine", wasm: Digest::of(b"wasm") };
        let read = Manifest::verify(&sealed, &one, &key).unwrap();
        assert_eq!(Manifest { mac: String::new(), ..read }, manifest());
        assert!(Manifest::verify(&sealed, &other, &key).is_err());
        assert!(Manifest::verify(&sealed, &one, &ArtifactKey { engine: "other", ..key }).is_err());
        assert!(Manifest::verify(&sealed, &one, &ArtifactKey { wasm: Digest::of(b"other"), ..key }).is_err());
    }

    #[test]
    fn a_manifest_with_any_byte_changed_is_refused() {
        let authentication = AuthenticationKey::of([1; 32]);
        let key = ArtifactKey { engine: "engine", wasm: Digest::of(b"wasm") };
        let sealed = manifest().seal(&authentication);
        for place in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[place] ^= 1;
            assert!(Manifest::verify(&forged, &authentication, &key).is_err(), "byte {place} was not protected");
        }
    }
}
