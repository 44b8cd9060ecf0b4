//! Files of the directories that the operator granted for reading.

pub use crate::bindings::host::peat::host::files::{Entry, EntryKind, Folder, Listing};

use crate::Error;
use crate::bindings::host::peat::host::files;
use crate::content;

/// Largest file that [`Folder::read_text`] brings into the guest's memory: 16 MiB, of the 256 MiB a guest has.
pub const TEXT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The names of the granted directories.
pub fn names() -> Vec<String> {
    files::names()
}

/// Opens the granted directory `name`; `denied` when it is not among [`names`].
pub async fn open(name: &str) -> Result<Folder, Error> {
    files::open(name.to_owned()).await
}

impl Folder {
    /// The file at `path` as text; `corrupt` when it is not UTF-8, `exhausted` above [`TEXT_BYTES_MAX`].
    pub async fn read_text(&self, path: &str) -> Result<String, Error> {
        let blob = self.read(path.to_owned()).await?;
        let bytes =
            content::read(&blob, TEXT_BYTES_MAX).await.map_err(|error| Error { subject: path.into(), ..error })?;
        String::from_utf8(bytes).map_err(|error| Error::corrupt(path, format!("{path} is not UTF-8 text: {error}")))
    }
}
