//! Contents: small ones in their row, large ones in files. Nothing is handed out that was not checked.

use std::io;
use std::sync::{Arc, OnceLock};

use peat_core::content::{self, Content, SharedContent};
use peat_core::digest::Digest;
use peat_core::ports::StoreError;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::Inner;
use super::content_files::ContentFiles;
use super::failure::Failure;
use super::spool::SpooledFile;
use super::statements::Cached as _;
use super::values::to_column;
use crate::file_content::FileContent;
use crate::temporary_file::TemporaryFile;

/// Content up to this many bytes lies in the database: below it a file costs more than a row.
pub(super) const ROW_BYTES_MAX: u64 = 64 * 1024;

/// Content that was checked against its digest and, when it is large, lies synced in a temporary file.
#[derive(Debug)]
pub(super) struct Prepared {
    digest: Digest,
    size: i64,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Row(Vec<u8>),
    File(TemporaryFile),
    /// A `SpooledFile` of this store.
    Spooled(SharedContent),
}

impl Prepared {
    /// Of a content that belongs in its row.
    pub(super) fn of_row(bytes: Vec<u8>) -> Result<Self, Failure> {
        let size = to_column("a size of", bytes.len() as u64)?;
        Ok(Self { digest: Digest::of(&bytes), size, body: Body::Row(bytes) })
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// In bytes, as a column has it.
    pub(super) fn size(&self) -> i64 {
        self.size
    }
}

impl Inner {
    /// Reads and checks `content`, before any transaction: this may take long, and may itself read from this store.
    pub(super) fn prepare(&self, content: &SharedContent, digest: &Digest, subject: &str) -> Result<Prepared, Failure> {
        let size = to_column("a size of", content.size())?;
        let (body, found) = self.load(content, subject)?;
        if found != *digest {
            let reason = format!("its content has the digest {found} instead of {digest}; nothing was stored");
            return Err(Failure::Corrupt(subject.to_owned(), reason));
        }
        Ok(Prepared { digest: found, size, body })
    }

    fn load(&self, content: &SharedContent, subject: &str) -> Result<(Body, Digest), Failure> {
        if content.size() <= ROW_BYTES_MAX {
            let bytes = content::read_all(&**content, ROW_BYTES_MAX).map_err(|error| {
                Failure::Corrupt(subject.to_owned(), format!("its content cannot be read: {error}"))
            })?;
            let digest = Digest::of(&bytes);
            return Ok((Body::Row(bytes), digest));
        }
        if let Some(spooled) = self.own_spooled(content) {
            spooled.temporary.file().sync_all().map_err(|error| Failure::File("spool".into(), error))?;
            return Ok((Body::Spooled(Arc::clone(content)), spooled.digest));
        }
        let (temporary, digest) = self.files.copy(&**content)?;
        Ok((Body::File(temporary), digest))
    }

    fn own_spooled<'a>(&self, content: &'a SharedContent) -> Option<&'a SpooledFile> {
        let spooled = content.as_any()?.downcast_ref::<SpooledFile>()?;
        Arc::ptr_eq(spooled.temporary.directory(), &self.files.spool).then_some(spooled)
    }

    /// Stores prepared content unless it is there; with `replace` also instead of what is there.
    pub(super) fn insert(
        &self,
        transaction: &Transaction<'_>,
        prepared: &Prepared,
        replace: bool,
    ) -> Result<(), Failure> {
        let digest = prepared.digest.as_bytes();
        let row = transaction.query_row_cached(FIND, [digest], Stored::of).optional()?;
        let there = match &row {
            None => false,
            Some(Stored { bytes: Some(_), .. }) => true,
            Some(Stored { size, bytes: None }) => self.files.has(&prepared.digest, size.unsigned_abs()),
        };
        if there && !replace {
            return Ok(());
        }
        let bytes = match &prepared.body {
            Body::Row(bytes) => Some(bytes),
            Body::File(temporary) => {
                self.files.place(temporary, &prepared.digest)?;
                None
            }
            Body::Spooled(content) => {
                let spooled = self.own_spooled(content).expect("load() made this body of such a content");
                self.files.place(&spooled.temporary, &prepared.digest)?;
                None
            }
        };
        let sql = "INSERT INTO contents (digest, size, bytes) VALUES (?1, ?2, ?3)
                   ON CONFLICT (digest) DO UPDATE SET size = excluded.size, bytes = excluded.bytes";
        transaction.execute_cached(sql, (digest, prepared.size, bytes))?;
        let sql = "UPDATE entries SET missing = 0 WHERE digest = ?1 AND missing = 1";
        transaction.execute_cached(sql, [digest])?;
        Ok(())
    }

    pub(super) fn content(&self, digest: &Digest) -> Result<Option<SharedContent>, StoreError> {
        let stored = self.read_at_once(|connection| find(connection, digest))?;
        stored.map_or(Ok(None), |stored| self.checked(digest, stored))
    }

    /// What is stored as the content with this digest, if it is that.
    pub(super) fn checked(&self, digest: &Digest, stored: Stored) -> Result<Option<SharedContent>, StoreError> {
        match stored.bytes {
            Some(bytes) if Digest::of(&bytes) == *digest => Ok(Some(content::in_memory(bytes))),
            Some(_) => {
                let reason = format!("its bytes have another digest; {}", super::failure::REMEDY);
                Err(self.place.explain(Failure::Corrupt(format!("content {digest}"), reason)))
            }
            None => self.content_of_file(digest, stored.size.unsigned_abs()),
        }
    }

    /// A file that is gone makes its content one that is not here: it may have been collected since the row was read.
    fn content_of_file(&self, digest: &Digest, size: u64) -> Result<Option<SharedContent>, StoreError> {
        let opened = self.files.open_content(digest).map_err(|failure| self.place.explain(failure))?;
        let Some(file) = opened else { return Ok(None) };
        let path = ContentFiles::path_of(digest);
        let of_file = |error: io::Error| self.place.of_file(&path, &error);
        let found_size = file.metadata().map_err(of_file)?.len();
        let content: SharedContent = Arc::new(FileContent::new(file, 0, found_size));
        let found = content::digest(&*content).map_err(of_file)?;
        if found == *digest && found_size == size {
            return Ok(Some(content));
        }
        Err(StoreError::Corrupt {
            path: self.place.directory.join(path).display().to_string(),
            subject: format!("content {digest}"),
            reason: format!(
                "the file has {found_size} bytes with the digest {found}, {size} bytes belong there; restore it from a \
                 backup, or delete it to have it fetched again from a shared datastore"
            ),
        })
    }

    pub(super) fn keep_all(&self, contents: &[(Digest, SharedContent)]) -> Result<(), StoreError> {
        let explain = |failure| self.place.explain(failure);
        let are_there: Vec<bool> = self.read(|connection| {
            let mut statement = connection.prepare_cached(FIND)?;
            contents.iter().map(|(digest, _)| Ok(statement.exists([digest.as_bytes()])?)).collect()
        })?;
        let prepare = |((digest, content), is_there): (&(Digest, SharedContent), bool)| {
            let prepared = self.prepare(content, digest, &format!("content {digest}")).map_err(explain)?;
            // What is damaged here is replaced: that is how it heals.
            Ok((prepared, is_there && matches!(self.content(digest), Ok(Some(_)))))
        };
        let prepared: Vec<(Prepared, bool)> =
            contents.iter().zip(are_there).map(prepare).collect::<Result<_, StoreError>>()?;
        self.write_pulled(prepared.iter().map(|(prepared, _)| prepared), |transaction| {
            for (prepared, is_sound) in &prepared {
                self.insert(transaction, prepared, !is_sound)?;
                // Nothing may refer to it yet, or ever.
                transaction.execute_cached(UNREFERENCE, [prepared.digest.as_bytes()])?;
            }
            Ok(())
        })
    }

    /// A transaction with what was pulled. Only where a file gets its place is it synced: its temporary name goes
    /// afterwards, and then the row must be there to stay.
    pub(super) fn write_pulled<'a, T>(
        &self,
        contents: impl IntoIterator<Item = &'a Prepared>,
        step: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let in_rows = contents.into_iter().all(|prepared| matches!(prepared.body, Body::Row(_)));
        if in_rows { self.write_refetchable(step) } else { self.write(step) }
    }

    /// Content that is loaded, and checked, when it is first read.
    pub(super) fn deferred(self: &Arc<Self>, digest: Digest, size: u64) -> SharedContent {
        Arc::new(Deferred { store: Arc::clone(self), digest, size, loaded: OnceLock::new() })
    }
}

/// A row of `contents`.
pub(super) struct Stored {
    size: i64,
    bytes: Option<Vec<u8>>,
}

impl Stored {
    /// The first two columns.
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { size: row.get(0)?, bytes: row.get(1)? })
    }
}

const FIND: &str = "SELECT size, bytes FROM contents WHERE digest = ?1";

fn find(connection: &Connection, digest: &Digest) -> Result<Option<Stored>, Failure> {
    Ok(connection.query_row_cached(FIND, [digest.as_bytes()], Stored::of).optional()?)
}

const UNREFERENCE: &str = "INSERT OR IGNORE INTO unreferenced (digest) VALUES (?1)";

/// Marks content as perhaps not referred to any more: `collect` looks.
pub(super) fn unreference(transaction: &Transaction<'_>, digest: &[u8]) -> Result<(), Failure> {
    transaction.execute_cached(UNREFERENCE, [digest])?;
    Ok(())
}

/// Content in the store that was not looked at yet.
#[derive(Debug)]
struct Deferred {
    store: Arc<Inner>,
    digest: Digest,
    size: u64,
    loaded: OnceLock<SharedContent>,
}

impl Content for Deferred {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(content) = self.loaded.get() {
            return content.read_at(offset, buffer);
        }
        let found = self.store.content(&self.digest).map_err(io::Error::other)?;
        let gone = || io::Error::new(io::ErrorKind::NotFound, format!("content {} is gone", self.digest));
        let content = self.loaded.get_or_init({
            let found = found.ok_or_else(gone)?;
            || found
        });
        content.read_at(offset, buffer)
    }
}
