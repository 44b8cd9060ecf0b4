//! `peat:host/files`: granted directories for reading, through cap-std.
//!
//! Resolution never leaves the directory, whatever links are in it. A file is copied once, through the spool, so that it
//! cannot change under the guest.

use std::io::{self, Read};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use peat_core::content::{self, SharedContent};
use peat_core::ports::Spool;
use tokio::sync::Semaphore;
use wasmtime::component::{Accessor, Resource};

use super::blobs::Blob;
use super::{Answer, bounded, error, guest_try};
use crate::bindings::imports::interfaces::errors::{Error, ErrorKind};
use crate::bindings::imports::interfaces::files::{
    Entry, EntryKind, Host, HostFolder, HostFolderWithStore, HostWithStore, Listing,
};
use crate::convert::errors::{of_io, of_store};
use crate::limits::PAGE_ENTRIES_MAX;
use crate::state::{Capabilities, GuestState};

/// Entries of one directory that are looked at: sorting needs them all.
const DIRECTORY_ENTRIES_MAX: usize = 100_000;

/// Bytes copied at once.
const COPY_BYTES: usize = 256 * 1024;

/// Files that are copied at once in this process, whatever its guests ask for: what a copy takes is known only when it is
/// made, so this many may exceed the limit of a call.
static READING: Semaphore = Semaphore::const_new(4);

/// Files up to this many bytes stay in memory, and count as resident.
const MEMORY_BYTES_MAX: u64 = 64 * 1024;

/// A granted directory.
#[derive(Debug, Clone)]
#[expect(unreachable_pub, reason = "generated bindings re-export it")]
pub struct Folder {
    directory: Arc<Dir>,
}

impl Host for GuestState {
    fn names(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.services.files.keys().map(ToString::to_string).collect())
    }
}

impl HostFolder for GuestState {
    fn drop(&mut self, folder: Resource<Folder>) -> wasmtime::Result<()> {
        self.table.delete(folder)?;
        Ok(())
    }
}

impl<T: 'static> HostWithStore<T> for Capabilities {
    async fn open(accessor: &Accessor<T, Self>, name: String) -> Answer<Resource<Folder>> {
        let files = accessor.with(|mut access| Arc::clone(&access.get().services.files));
        let Some(path) = files.iter().find_map(|(granted, path)| (granted.as_str() == name).then(|| path.clone()))
        else {
            let granted: Vec<&str> = files.keys().map(|name| name.as_str()).collect();
            let message = format!("no such directory is granted; granted are [{}]", granted.join(", "));
            return Ok(Err(error(ErrorKind::Denied, &name, message)));
        };
        let opened = blocking(move || Dir::open_ambient_dir(path, ambient_authority())).await;
        let directory = guest_try!(opened.map_err(|failure| {
            let cause = of_io(&failure, &name);
            error(cause.kind, &name, format!("the granted directory cannot be opened: {failure}"))
        }));
        let folder = Folder { directory: Arc::new(directory) };
        Ok(Ok(accessor.with(|mut access| access.get().push_handle(folder))?))
    }
}

impl<T: 'static> HostFolderWithStore<T> for Capabilities {
    async fn read(accessor: &Accessor<T, Self>, folder: Resource<Folder>, path: String) -> Answer<Resource<Blob>> {
        let folder = behind(accessor, &folder)?;
        let (spool, file_bytes_max) = accessor.with(|mut access| {
            let state = access.get();
            (Arc::clone(&state.services.spool), state.limits.file_bytes)
        });
        guest_try!(check(&path));
        // Held until the file is accounted for.
        let _turn = READING.acquire().await?;
        let read = tokio::task::spawn_blocking(move || snapshot(&folder.directory, &path, &*spool, file_bytes_max));
        let content = guest_try!(read.await?);
        accessor.with(|mut access| {
            let state = access.get();
            state.take_content_bytes(content.size())?;
            let content = if content.size() <= MEMORY_BYTES_MAX { state.counted(content)? } else { content };
            Ok(Ok(state.push_blob(content)?))
        })
    }

    async fn list(
        accessor: &Accessor<T, Self>,
        folder: Resource<Folder>,
        path: String,
        cursor: Option<String>,
    ) -> Answer<Listing> {
        let folder = behind(accessor, &folder)?;
        if !path.is_empty() {
            guest_try!(check(&path));
        }
        guest_try!(bounded("the cursor", cursor.as_deref().unwrap_or_default()));
        let listed = tokio::task::spawn_blocking(move || listing(&folder.directory, &path, cursor.as_deref()));
        Ok(listed.await?)
    }
}

/// The folder behind a handle of the guest.
fn behind<T: 'static>(accessor: &Accessor<T, Capabilities>, folder: &Resource<Folder>) -> wasmtime::Result<Folder> {
    accessor.with(|mut access| Ok(access.get().table.get(folder)?.clone()))
}

/// Relative, without `.`, `..`, empty parts, NUL or `\`: what could be read in two ways is refused before it is resolved.
fn check(path: &str) -> Result<(), Error> {
    bounded("the path", path)?;
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\0', '\\']);
    if path.split('/').all(plain) {
        return Ok(());
    }
    let message = "paths are relative to the granted directory, '/'-separated, without '.', '..' and empty parts";
    Err(error(ErrorKind::Denied, path, message))
}

fn snapshot(directory: &Dir, path: &str, spool: &dyn Spool, file_bytes_max: u64) -> Result<SharedContent, Error> {
    let mut options = OpenOptions::new();
    // A pipe without a writer must not hold the thread.
    options.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    let file = directory.open_with(path, &options).map_err(|failure| refused(&failure, path))?;
    let metadata = file.metadata().map_err(|failure| refused(&failure, path))?;
    if !metadata.is_file() {
        return Err(error(ErrorKind::Denied, path, "it is not a regular file"));
    }
    let too_large = |found: u64| {
        let message = format!("it has {found} bytes or more, at most {file_bytes_max} are read");
        error(ErrorKind::Exhausted, path, message)
    };
    if metadata.len() > file_bytes_max {
        return Err(too_large(metadata.len()));
    }
    let mut bounded = file.take(file_bytes_max.saturating_add(1));
    if metadata.len() <= MEMORY_BYTES_MAX {
        let mut bytes = Vec::new();
        let read = bounded.by_ref().take(MEMORY_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|failure| refused(&failure, path))?;
        if bytes.len() as u64 <= MEMORY_BYTES_MAX {
            return Ok(content::in_memory(bytes));
        }
        return copy(&bytes, bounded, spool, path, file_bytes_max, &too_large);
    }
    copy(&[], bounded, spool, path, file_bytes_max, &too_large)
}

fn copy(
    first: &[u8],
    mut rest: impl Read,
    spool: &dyn Spool,
    path: &str,
    file_bytes_max: u64,
    too_large: &dyn Fn(u64) -> Error,
) -> Result<SharedContent, Error> {
    let mut writer = spool.begin().map_err(|failure| of_store(&failure))?;
    writer.write(first).map_err(|failure| of_store(&failure))?;
    let mut total = first.len() as u64;
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let read = match rest.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(failure) if failure.kind() == io::ErrorKind::Interrupted => continue,
            Err(failure) => return Err(refused(&failure, path)),
        };
        total += read as u64;
        if total > file_bytes_max {
            return Err(too_large(total));
        }
        writer.write(&buffer[..read]).map_err(|failure| of_store(&failure))?;
    }
    writer.finish().map_err(|failure| of_store(&failure))
}

fn listing(directory: &Dir, path: &str, cursor: Option<&str>) -> Result<Listing, Error> {
    let read = if path.is_empty() { directory.entries() } else { directory.read_dir(path) };
    let mut names = Vec::new();
    for found in read.map_err(|failure| refused(&failure, path))? {
        let found = found.map_err(|failure| refused(&failure, path))?;
        if names.len() == DIRECTORY_ENTRIES_MAX {
            let message = format!("it has more than {DIRECTORY_ENTRIES_MAX} entries");
            return Err(error(ErrorKind::Exhausted, path, message));
        }
        // A name that is no Unicode cannot be passed to a guest, nor asked for by one.
        if let Ok(name) = found.file_name().into_string() {
            names.push((name, found));
        }
    }
    names.sort_by(|left, right| left.0.cmp(&right.0));
    let mut rest = names.into_iter().filter(|(name, _)| cursor.is_none_or(|cursor| name.as_str() > cursor));
    let mut entries = Vec::new();
    for (name, found) in rest.by_ref().take(PAGE_ENTRIES_MAX as usize) {
        // Gone since it was listed.
        let Ok(metadata) = found.metadata() else { continue };
        let kind = match metadata.file_type() {
            kind if kind.is_file() => EntryKind::File,
            kind if kind.is_dir() => EntryKind::Directory,
            _ => EntryKind::Other,
        };
        let size = if kind == EntryKind::File { metadata.len() } else { 0 };
        entries.push(Entry { name, kind, size });
    }
    let cursor = if rest.next().is_some() { entries.last().map(|entry| entry.name.clone()) } else { None };
    Ok(Listing { entries, cursor })
}

/// What cap-std refuses because it would leave the directory is `denied`; everything else says what it is.
fn refused(failure: &io::Error, path: &str) -> Error {
    let escapes = failure.raw_os_error().is_none() && failure.kind() == io::ErrorKind::PermissionDenied;
    if escapes {
        return error(ErrorKind::Denied, path, "it leads outside the granted directory");
    }
    of_io(failure, path)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
