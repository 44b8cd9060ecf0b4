//! What an artifact must be, authenticated: the record beside it.
//!
//! JSON of format 1. The MAC is HMAC-SHA256 over a fixed text of all other fields, so that it does not depend on how
//! JSON is written.

use peat_core::digest::Digest;
use serde::{Deserialize, Serialize};

use super::key_file::AuthenticationKey;

/// Largest record that is read, in bytes; one has some 350.
pub(super) const RECORD_BYTES_MAX: u64 = 4096;

/// Format of records that this build reads and writes.
const FORMAT: u32 = 1;

/// What an artifact must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Record {
    format: u32,
    /// SHA-256 of the component.
    wasm: Digest,
    /// Key of the engine.
    engine: String,
    /// SHA-256 of the native code.
    artifact: Digest,
    /// Its length in bytes.
    length: u64,
    /// Hexadecimal; empty until sealed.
    #[serde(default)]
    mac: String,
}

impl Record {
    pub(super) fn of(native: &[u8], engine: &str, wasm: Digest) -> Self {
        Self {
            format: FORMAT,
            wasm,
            engine: engine.to_owned(),
            artifact: Digest::of(native),
            length: native.len() as u64,
            mac: String::new(),
        }
    }

    /// The bytes to keep.
    pub(super) fn seal(mut self, key: &AuthenticationKey) -> Vec<u8> {
        self.mac = key.seal(&self.text());
        serde_json::to_vec(&self).expect("a record is plain text and numbers")
    }

    /// Reads a record and checks that this user made it for this engine and component.
    pub(super) fn verify(bytes: &[u8], key: &AuthenticationKey, engine: &str, wasm: &Digest) -> Result<Self, String> {
        let record: Self =
            serde_json::from_slice(bytes).map_err(|error| format!("the record does not parse: {error}"))?;
        if !key.has_sealed(&record.text(), &record.mac) {
            return Err("the record was not made with this user's key".to_owned());
        }
        if record.format != FORMAT || record.engine != engine || record.wasm != *wasm {
            return Err("the record is of another artifact".to_owned());
        }
        Ok(record)
    }

    /// Whether native code of this digest and length is what was recorded.
    pub(super) fn fits(&self, (digest, length): (Digest, u64)) -> Result<(), String> {
        if (digest, length) != (self.artifact, self.length) {
            return Err("the artifact is not what was recorded".to_owned());
        }
        Ok(())
    }

    /// What the MAC is of.
    fn text(&self) -> Vec<u8> {
        let Self { format, wasm, engine, artifact, length, mac: _ } = self;
        format!("peat artifact\n{format}\n{wasm}\n{engine}\n{artifact}\n{length}\n").into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_valid_only_with_its_key_its_engine_and_its_component() {
        let key = AuthenticationKey::of([1; 32]);
        let wasm = Digest::of(b"wasm");
        let sealed = Record::of(b"native", "engine", wasm).seal(&key);
        let record = Record::verify(&sealed, &key, "engine", &wasm).unwrap();
        assert_eq!(record.fits((Digest::of(b"native"), 6)), Ok(()));
        assert!(record.fits((Digest::of(b"natiVe"), 6)).is_err());
        assert!(record.fits((Digest::of(b"native"), 7)).is_err());
        assert!(Record::verify(&sealed, &AuthenticationKey::of([2; 32]), "engine", &wasm).is_err());
        assert!(Record::verify(&sealed, &key, "other", &wasm).is_err());
        assert!(Record::verify(&sealed, &key, "engine", &Digest::of(b"other")).is_err());
    }

    #[test]
    fn a_record_with_any_byte_changed_is_refused() {
        let key = AuthenticationKey::of([1; 32]);
        let wasm = Digest::of(b"wasm");
        let sealed = Record::of(b"native", "engine", wasm).seal(&key);
        for place in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[place] ^= 1;
            assert!(Record::verify(&forged, &key, "engine", &wasm).is_err(), "byte {place} was not protected");
        }
    }
}
