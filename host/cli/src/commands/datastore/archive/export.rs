//! Writing an archive: the index first, then every content once. The same data makes the same bytes.

use std::collections::BTreeMap;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::Path;

use peat_core::content::SharedContent;
use peat_core::digest::Digest;
use peat_core::entry::Entry;
use peat_core::hold::unless_interrupted;
use peat_core::identifiers::PartitionName;
use peat_core::interrupt::Interrupt;
use peat_core::ports::{EntryFilter, LocalStore as _, Objects, Observer as _, Progress, ProgressUnit, StoredEntry};
use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::format::{
    ArchivedVersion, FORMAT, MANIFEST, Manifest, PIECE_VERSIONS_MAX, PartitionTotal, Piece, content_name, piece_name,
};
use super::is_stream;
use crate::arguments::DatastoreExport;
use crate::composition::{Context, Session, run_async};
use crate::failure::Failure;
use crate::rendering::{Answer, Page, Tone, short_size};

/// Rights of the members, for who unpacks them with other tools.
const MODE: u32 = 0o644;

/// Writes everything that is committed into one file, whole or not at all, or to stdout.
pub(in crate::commands::datastore) fn export(
    context: &Context,
    arguments: &DatastoreExport,
) -> Result<Answer, Failure> {
    let file = &arguments.file;
    if is_stream(file) && context.screen.is_json() {
        return Err(Failure::InvalidInput(
            "stdout cannot be the archive and the JSON document; name a file".to_owned(),
        ));
    }
    let session = Session::open(context, context.repository()?)?;
    let exported = run_async(async |interrupt| {
        let index = Box::pin(unless_interrupted(&interrupt, Index::of(&session))).await;
        let index = index.unwrap_or(Err(Failure::Interrupted))?;
        write(&session, file, index, &interrupt)
    })?;
    let uncommitted = session.store.pending(None)?.len();
    session.close(context);
    let mut page = Page::default();
    if uncommitted > 0 {
        page.hint(format!(
            "{uncommitted} uncommitted results of this machine are not in it; `peat datastore push` sends them"
        ));
    }
    let Exported { partitions, versions, contents, bytes } = exported;
    if !is_stream(file) {
        let what = format!("{versions} versions of {partitions} partitions ({})", short_size(bytes));
        page.text_line(format!("wrote {what} to {}", file.display()), Tone::Good);
    }
    let json = json!({ "export": {
        "file": file, "partitions": partitions, "versions": versions, "contents": contents, "bytes": bytes,
        "uncommitted": uncommitted,
    }});
    Ok(Answer::new(json, page))
}

struct Exported {
    partitions: u64,
    versions: u64,
    contents: u64,
    bytes: u64,
}

/// Everything but the contents, its pieces in a temporary file: the manifest counts them, and comes first.
struct Index {
    manifest: Manifest,
    pieces: std::fs::File,
    sizes: Vec<u64>,
    contents: BTreeMap<Digest, u64>,
}

impl Index {
    async fn of(session: &Session) -> Result<Self, Failure> {
        let datastore = session.datastore().await?;
        session.side(datastore).refresh().await?;
        let manifest = Manifest {
            format: FORMAT,
            namespace: session.repository.namespace().clone(),
            partitions: Vec::new(),
            contents: 0,
            bytes: 0,
        };
        let pieces = tempfile::tempfile().map_err(of_temporary)?;
        let mut index = Self { manifest, pieces, sizes: Vec::new(), contents: BTreeMap::new() };
        for partition in session.store.partitions()? {
            index.add(session, partition).await?;
        }
        index.manifest.contents = index.contents.len() as u64;
        index.manifest.bytes = index.contents.values().sum();
        Ok(index)
    }

    /// Writes the pieces of a partition, and brings its content to this machine.
    async fn add(&mut self, session: &Session, partition: PartitionName) -> Result<(), Failure> {
        let mut filter = EntryFilter {
            partition: Some(partition.clone()),
            committed_only: true,
            limit: u32::try_from(PIECE_VERSIONS_MAX).ok(),
            ..EntryFilter::default()
        };
        let mut versions = 0;
        loop {
            let page = session.store.entries(&filter)?;
            let Some(last) = page.last() else { break };
            filter.after = Some((last.partition.clone(), last.entry.description.name.clone()));
            session.bring(&page).await?;
            versions += page.len() as u64;
            self.add_page(&partition, page)?;
        }
        if versions > 0 {
            self.manifest.partitions.push(PartitionTotal { partition, versions });
        }
        Ok(())
    }

    fn add_page(&mut self, partition: &PartitionName, page: Vec<StoredEntry>) -> Result<(), Failure> {
        let mut entries: Vec<Entry> = page.into_iter().map(|stored| stored.entry).collect();
        entries
            .sort_by(|one, other| (&one.description.name, one.version).cmp(&(&other.description.name, other.version)));
        for entry in &entries {
            self.contents.insert(entry.description.digest, entry.description.size);
        }
        let mut entries = entries.into_iter().map(ArchivedVersion::from).peekable();
        while entries.peek().is_some() {
            // A page never splits a name, so it may be larger than a piece.
            let versions = entries.by_ref().take(PIECE_VERSIONS_MAX).collect();
            let piece = Piece { partition: partition.clone(), versions };
            let text = serde_json::to_vec(&piece).map_err(|error| Failure::Internal(error.to_string()))?;
            self.pieces.write_all(&text).map_err(of_temporary)?;
            self.sizes.push(text.len() as u64);
        }
        Ok(())
    }
}

fn write(session: &Session, file: &Path, index: Index, interrupt: &Interrupt) -> Result<Exported, Failure> {
    if is_stream(file) {
        let stdout = io::stdout().lock();
        return pack(session, BufWriter::new(stdout), index, interrupt, file);
    }
    let wrong = |source| Failure::file("write", file, source);
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut temporary = tempfile::Builder::new()
        .prefix(".peat-")
        .permissions(permissions)
        .tempfile_in(directory)
        .map_err(|error| Failure::file("write into", directory, error.kind().into()))?;
    let exported = pack(session, BufWriter::new(temporary.as_file_mut()), index, interrupt, file)?;
    temporary.as_file().sync_all().map_err(wrong)?;
    temporary.persist(file).map_err(|error| wrong(error.error))?;
    Ok(exported)
}

fn pack(
    session: &Session,
    output: impl Write,
    mut index: Index,
    interrupt: &Interrupt,
    file: &Path,
) -> Result<Exported, Failure> {
    let wrong = |source| Failure::file("write", file, source);
    let mut archive = Builder::new(output);
    let manifest = serde_json::to_vec(&index.manifest).map_err(|error| Failure::Internal(error.to_string()))?;
    append(&mut archive, MANIFEST, manifest.len() as u64, &manifest[..]).map_err(wrong)?;
    index.pieces.rewind().map_err(of_temporary)?;
    let mut pieces = BufReader::new(index.pieces);
    for (number, size) in (0..).zip(&index.sizes) {
        append(&mut archive, &piece_name(number), *size, pieces.by_ref().take(*size)).map_err(wrong)?;
    }
    let mut done = (0, 0);
    for (digest, size) in &index.contents {
        if interrupt.is_triggered() {
            return Err(Failure::Interrupted);
        }
        let content = session.store.content(digest)?;
        let content = content.ok_or_else(|| Failure::Corrupt(format!("the content {digest} is nowhere to be had")))?;
        append(&mut archive, &content_name(digest), *size, Reader { content, offset: 0 }).map_err(wrong)?;
        done = (done.0 + 1, done.1 + size);
        session.observer.progress(Progress {
            message: "writing contents".to_owned(),
            done: done.1,
            total: Some(index.manifest.bytes),
            unit: ProgressUnit::Bytes,
            objects: Some(Objects { done: done.0, total: index.manifest.contents }),
        });
    }
    archive.into_inner().and_then(|mut output| output.flush()).map_err(wrong)?;
    Ok(Exported {
        partitions: index.manifest.partitions.len() as u64,
        versions: index.manifest.partitions.iter().map(|total| total.versions).sum(),
        contents: index.manifest.contents,
        bytes: index.manifest.bytes,
    })
}

/// Nothing of the time or the machine goes in, so that the same data makes the same bytes.
fn append(archive: &mut Builder<impl Write>, name: &str, size: u64, data: impl Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_path(name)?;
    header.set_mode(MODE);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    archive.append(&header, data)
}

/// A content as a stream.
struct Reader {
    content: SharedContent,
    offset: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read_at(self.offset, buffer)?;
        self.offset += read as u64;
        Ok(read)
    }
}

fn of_temporary(source: io::Error) -> Failure {
    Failure::file("write a temporary file in", &std::env::temp_dir(), source)
}
