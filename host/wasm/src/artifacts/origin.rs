//! Where the WebAssembly comes from that native code is made of.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use peat_core::digest::Digest;
use peat_core::ports::ExtensionError;

use crate::host::too_large;
use crate::limits::COMPONENT_BYTES_MAX;

/// Where the component comes from when no artifact is kept.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A file, read when it is needed; its digest is checked.
    File(PathBuf),
    /// Bytes that the caller has; their digest is checked too.
    Bytes(Vec<u8>),
}

impl Origin {
    /// Bytes of the component; none where there is no file.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(path) => path.metadata().map_or(0, |metadata| metadata.len()),
        }
    }

    /// The component's bytes, checked against its digest.
    pub(super) fn read(self, extension: &str, digest: &Digest) -> Result<Vec<u8>, ExtensionError> {
        let (bytes, place) = match self {
            Self::Bytes(bytes) => (bytes, "as it was passed".to_owned()),
            Self::File(path) => (read_component(extension, &path)?, path.display().to_string()),
        };
        if let Some(error) = too_large(extension, bytes.len() as u64) {
            return Err(error);
        }
        if Digest::of(&bytes) != *digest {
            return Err(ExtensionError::Unusable {
                extension: extension.to_owned(),
                reason: format!(
                    "its component {place} is not what was installed (another digest); install it again with \
                     `peat extension add FILE`"
                ),
            });
        }
        Ok(bytes)
    }
}

fn read_component(extension: &str, path: &Path) -> Result<Vec<u8>, ExtensionError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(COMPONENT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(ExtensionError::Missing { extension: extension.to_owned(), path: path.display().to_string() })
        }
        Err(error) => Err(ExtensionError::Unusable {
            extension: extension.to_owned(),
            reason: format!("its component {} cannot be read: {error}", path.display()),
        }),
    }
}
