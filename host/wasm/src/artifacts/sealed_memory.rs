//! Memory that nobody can change any more: what was verified there is what is used.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, SealFlags};

/// What the kernel shows it as, in `/proc/PID/maps`.
const NAME: &str = "peat-artifact";

/// A file without a name that is in memory alone. It cannot be written, made larger or made smaller.
#[derive(Debug)]
pub(super) struct SealedMemory(File);

impl SealedMemory {
    /// Memory with what `fill` writes, and what `fill` answers.
    pub(super) fn filled<T>(fill: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<(Self, T)> {
        let mut file = File::from(rustix::fs::memfd_create(NAME, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
        let filled = fill(&mut file)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        Ok((Self(file), filled))
    }

    /// By which this process can open it, where `/proc` is mounted.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::FileExt as _;

    use super::*;

    #[test]
    fn what_is_sealed_can_be_read_and_not_changed() {
        let (sealed, length) = SealedMemory::filled(|file| file.write(b"native code")).unwrap();
        assert_eq!(length, 11);
        assert_eq!(std::fs::read(sealed.path()).unwrap(), b"native code");
        sealed.0.write_at(b"N", 0).unwrap_err();
        sealed.0.write_at(b"more", 11).unwrap_err();
        sealed.0.set_len(3).unwrap_err();
        std::fs::write(sealed.path(), b"other").unwrap_err();
        assert_eq!(std::fs::read(sealed.path()).unwrap(), b"native code");
    }
}
