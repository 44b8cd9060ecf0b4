//! The key that authenticates artifacts: 32 random bytes that only this user can read.
//!
//! A key that others could have read or written is not used: it is replaced, and everything it vouched for is compiled
//! again.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Length of the key in bytes: that of the hash.
const KEY_BYTES: usize = 32;

/// Never shown.
pub(super) struct AuthenticationKey([u8; KEY_BYTES]);

impl fmt::Debug for AuthenticationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AuthenticationKey(…)")
    }
}

impl AuthenticationKey {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    #[cfg(test)]
    pub(super) fn of(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }
}

/// Reads the key, or makes one. Several processes may do so at once: all get the same.
pub(super) fn load_or_create(path: &Path) -> io::Result<AuthenticationKey> {
    match load(path) {
        Ok(key) => return Ok(key),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "replacing the key of the compiled extensions");
            std::fs::remove_file(path)?;
        }
    }
    create(path)?;
    load(path)
}

fn load(path: &Path) -> io::Result<AuthenticationKey> {
    let mut file = OpenOptions::new().read(true).custom_flags(no_follow()).open(path)?;
    let metadata = file.metadata()?;
    let own =
        metadata.is_file() && metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & 0o077 == 0;
    if !own || metadata.len() != KEY_BYTES as u64 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a key that only this user can read"));
    }
    let mut bytes = [0; KEY_BYTES];
    file.read_exact(&mut bytes)?;
    Ok(AuthenticationKey(bytes))
}

/// Written whole under another name and linked to its own, so that nobody reads half a key and the first one stays.
fn create(path: &Path) -> io::Result<()> {
    let parent = path.parent().ok_or_else(|| io::Error::other("the key has no directory"))?;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let mut bytes = [0; KEY_BYTES];
    fill(&mut bytes)?;
    let temporary = path.with_extension(format!("{}.{}", std::process::id(), super::directory::unique()?));
    let mut file: File =
        OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(no_follow()).open(&temporary)?;
    let written = file.write_all(&bytes).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match std::fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = std::fs::remove_file(&temporary);
    linked.and(removed)
}

pub(super) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(|error| io::Error::other(error.to_string()))
}

fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}
