//! The key that authenticates artifacts: 32 random bytes that only this user can read.
//!
//! A key that others could have read or written is not used: it is replaced, and everything it vouched for is compiled
//! again.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use hmac::{Hmac, Mac as _};
use peat_core::digest::Digest;
use sha2::Sha256;

/// Length of the key in bytes: that of the hash.
const KEY_BYTES: usize = 32;

/// Never shown.
#[derive(Clone)]
pub(super) struct AuthenticationKey([u8; KEY_BYTES]);

impl fmt::Debug for AuthenticationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AuthenticationKey(…)")
    }
}

/// Hexadecimal digits of a fingerprint: 128 bits, as an engine's key.
const FINGERPRINT_DIGITS: usize = 32;

impl AuthenticationKey {
    /// The MAC (HMAC-SHA256) of a text, in hexadecimal. The first line of a text says what it is, so that no MAC passes
    /// for one of something else.
    pub(super) fn seal(&self, text: &[u8]) -> String {
        hexadecimal(&self.authenticator(text).finalize().into_bytes())
    }

    /// Whether `mac` is the one of this text, compared in constant time.
    pub(super) fn has_sealed(&self, text: &[u8], mac: &str) -> bool {
        Digest::parse(mac).is_ok_and(|mac| self.authenticator(text).verify_slice(mac.as_bytes()).is_ok())
    }

    /// Names the key and says nothing of it. What it vouches for lies under this name, so that two keys can share a cache.
    pub(super) fn fingerprint(&self) -> String {
        let mut fingerprint = self.seal(b"peat artifact key\n");
        fingerprint.truncate(FINGERPRINT_DIGITS);
        fingerprint
    }

    fn authenticator(&self, text: &[u8]) -> Hmac<Sha256> {
        let mut authenticator = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        authenticator.update(text);
        authenticator
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

/// Reads the key that is there.
pub(super) fn load(path: &Path) -> io::Result<AuthenticationKey> {
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

fn hexadecimal(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn no_follow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_names_its_key_and_is_the_seal_of_nothing_else() {
        let (one, other) = (AuthenticationKey::of([1; KEY_BYTES]), AuthenticationKey::of([2; KEY_BYTES]));
        assert_eq!(one.fingerprint(), AuthenticationKey::of([1; KEY_BYTES]).fingerprint());
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_eq!(one.fingerprint().len(), FINGERPRINT_DIGITS);
        assert!(!hexadecimal(&one.0).contains(&one.fingerprint()));
    }

    #[test]
    fn a_seal_holds_for_its_key_and_its_text_alone() {
        let key = AuthenticationKey::of([1; KEY_BYTES]);
        let seal = key.seal(b"text");
        assert!(key.has_sealed(b"text", &seal));
        assert!(!key.has_sealed(b"texT", &seal));
        assert!(!AuthenticationKey::of([2; KEY_BYTES]).has_sealed(b"text", &seal));
        for wrong in ["", &seal[..32], &seal.to_uppercase(), &format!("{seal}00")] {
            assert!(!key.has_sealed(b"text", wrong), "{wrong} passed");
        }
    }
}
