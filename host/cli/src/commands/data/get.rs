//! `peat data get`.

use std::io::Write as _;
use std::path::Path;

use peat_core::content::{SharedContent, read_all, walk};
use peat_core::identifiers::{DataName, ModelName, Version};
use peat_core::ports::{StoredEntry, StoredState};
use serde_json::{Value, json};

use super::{entry_json, versions_of};
use crate::composition::{Context, Session, run_interruptible};
use crate::failure::Failure;
use crate::rendering::{Answer, Page, short_size};

/// Largest content that goes into a JSON document, in bytes.
const JSON_CONTENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Which content.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) model: ModelName,
    pub(super) name: String,
    pub(super) version: Option<u64>,
}

/// Prints or saves a content.
pub(super) fn get(context: &Context, wanted: &Wanted, output: Option<&Path>) -> Result<Answer, Failure> {
    let name = DataName::parse(&wanted.name)?;
    let repository = context.repository()?;
    let partition = repository.model_finder()?.get(&wanted.model)?.model.partition();
    let session = Session::open(context, repository)?;
    let (stored, content) = run_interruptible(async {
        if session.repository.shared_datastore().is_some() {
            session.know(&partition).await?;
        }
        let stored = choose(versions_of(&session, &wanted.model, &partition, &name)?, wanted, &name)?;
        let content = session.content(&stored).await?;
        Ok((stored, content))
    })?;
    session.close(context);
    let json = entry_json(&stored, Some(&wanted.model));
    match output {
        Some(path) if path.as_os_str() != "-" => {
            save(&content, path)?;
            let mut page = Page::default();
            page.line(format!("wrote {} to {}", short_size(content.size()), path.display()));
            Ok(Answer::new(json!({ "data": json, "file": path }), page))
        }
        Some(_) => Ok(Answer::new(with_content(json, &content, context)?, Page::default()).with_content(content, true)),
        None => Ok(Answer::new(with_content(json, &content, context)?, Page::default()).with_content(content, false)),
    }
}

/// The version asked for, or the newest committed one that is not of a failed run.
fn choose(versions: Vec<StoredEntry>, wanted: &Wanted, name: &DataName) -> Result<StoredEntry, Failure> {
    let committed = |stored: &StoredEntry| stored.state != StoredState::Uncommitted;
    let found = match wanted.version {
        Some(version) => {
            versions.into_iter().find(|stored| committed(stored) && stored.entry.version == Version(version))
        }
        None => versions.into_iter().find(|stored| committed(stored) && !stored.entry.description.of_failed_run),
    };
    found.ok_or_else(|| {
        let what = match wanted.version {
            Some(version) => format!("no version {version}"),
            None => "no version of a run that succeeded and was committed".to_owned(),
        };
        Failure::NotFound(format!(
            "{name} of model {} has {what}; `peat data versions {} {name}` shows what there is",
            wanted.model, wanted.model
        ))
    })
}

/// For `--json` the content goes into the document, as text.
fn with_content(entry: Value, content: &SharedContent, context: &Context) -> Result<Value, Failure> {
    if !context.screen.is_json() {
        return Ok(Value::Null);
    }
    let remedy = "save it with --output FILE";
    if content.size() > JSON_CONTENT_BYTES_MAX {
        return Err(Failure::InvalidInput(format!(
            "{} bytes are more than the {JSON_CONTENT_BYTES_MAX} that go into a JSON document; {remedy}",
            content.size()
        )));
    }
    let bytes = read_all(&**content, JSON_CONTENT_BYTES_MAX)
        .map_err(|error| Failure::Corrupt(format!("the content cannot be read: {error}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::InvalidInput(format!("the content is not text and does not go into JSON; {remedy}")))?;
    Ok(json!({ "data": entry, "content": text }))
}

/// Writes a file whole or not at all.
fn save(content: &SharedContent, path: &Path) -> Result<(), Failure> {
    let wrong = |source| Failure::file("write", path, source);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.exists() && !path.is_file() {
        // A pipe or a device is written as it is.
        let mut file = std::fs::OpenOptions::new().write(true).open(path).map_err(wrong)?;
        return walk(&**content, |bytes| file.write_all(bytes)).map_err(wrong);
    }
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut file = tempfile::Builder::new()
        .prefix(".peat-")
        .permissions(permissions)
        .tempfile_in(directory)
        .map_err(|error| Failure::file("write into", directory, error.kind().into()))?;
    walk(&**content, |bytes| file.write_all(bytes)).map_err(wrong)?;
    file.as_file().sync_all().map_err(wrong)?;
    file.persist(path).map_err(|error| wrong(error.error))?;
    Ok(())
}
