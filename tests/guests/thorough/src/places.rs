//! Granted directories and values, and the refusals of everything else.

use peat_sdk::content::{Blob, CHUNK_BYTES_MAX, Writer};
use peat_sdk::files::EntryKind;
use peat_sdk::prelude::*;
use serde_json::json;

/// A granted directory.
#[derive(Deserialize)]
pub(crate) struct Place {
    directory: String,
}

pub(crate) async fn places(_: Run, place: Place) -> Result<String, Error> {
    let folder = files::open(&place.directory).await?;
    let mut open = vec![String::new()];
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        let mut cursor = None;
        loop {
            let page = folder.list(path.clone(), cursor).await?;
            for entry in &page.entries {
                let inside = if path.is_empty() { entry.name.clone() } else { format!("{path}/{}", entry.name) };
                match entry.kind {
                    EntryKind::Directory => open.push(inside),
                    EntryKind::File => {
                        let content = folder.read(inside.clone()).await?;
                        found.push(json!({ "path": inside, "size": entry.size, "digest": content.digest().await? }));
                    }
                    EntryKind::Other => found.push(json!({ "path": inside, "kind": "other" })),
                }
            }
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
    }
    data::write_json("found", &json!({ "granted": files::names(), "found": found })).await?;
    Ok(format!("found {} files", found.len()))
}

/// The name of a granted value.
#[derive(Deserialize)]
pub(crate) struct Name {
    name: String,
}

pub(crate) async fn secret(_: Run, arguments: Name) -> Result<String, Error> {
    let value = peat_sdk::secrets::get(&arguments.name)?;
    // Not the value: it has no business in data.
    Ok(format!("{} bytes, the first is {:?}", value.len(), value.bytes().next()))
}

/// Meets refusals, each on its own; what they say goes to the log.
pub(crate) async fn errors(_: Run, place: Place) -> Result<String, Error> {
    let mut met = 0;
    let mut meet = |what: &str, refusal: Option<Error>| match refusal {
        Some(error) => {
            met += 1;
            info!("{what}: {:?}, {:?}, {}", error.kind, error.subject, error.message);
        }
        None => info!("{what}: not refused"),
    };
    let blob = Blob::of_bytes(b"four")?;
    meet("a slice beyond the end", blob.slice(3, 2).err());
    meet("a read of too much", blob.read(0, CHUNK_BYTES_MAX as u32 + 1).await.err());
    meet("a read beyond the end", blob.read(100, 1).await.err());
    let writer = Writer::new();
    meet("a piece that is too large", writer.write(vec![0; CHUNK_BYTES_MAX + 1]).await.err());
    writer.finish().await?;
    meet("a second finish", writer.finish().await.err());
    meet("a write after the finish", writer.write(vec![0]).await.err());
    meet("no such data", data::read(None, "nowhere", None).await.err());
    meet("no such version", data::read(None, "nowhere", Some(7)).await.err());
    meet("a model it does not read", data::read(Some("stranger"), "note", None).await.err());
    meet("a model's name that is none", data::read(Some("No Name"), "note", None).await.err());
    meet("a reserved name", data::write_text(".run/mine", "x").await.err());
    meet("a name that is none", data::write_text("../up", "x").await.err());
    meet("a content type that is too long", data::write_bytes("typed", &"x".repeat(300), b"").await.err());
    let tag = data::Tag { name: "x".repeat(300), value: String::new() };
    let tagged = data::Attributes { tags: vec![tag], ..data::attributes("text/plain") };
    meet("a tag that is too long", data::write("tagged", &blob, tagged).await.err());
    meet("a cursor that is none", data::list(None, "", Some("..".to_owned())).await.err());
    meet("a directory that is not granted", files::open("elsewhere").await.err());
    let folder = files::open(&place.directory).await?;
    for path in ["nowhere.txt", "../outside.txt", "/etc/passwd", "link", "deeper", "a\\b", "inside.txt/x"] {
        meet(path, folder.read(path.to_owned()).await.err());
    }
    meet("a listing of what is a file", folder.list("inside.txt".to_owned(), None).await.err());
    meet("a value that is not granted", peat_sdk::secrets::get("other").err());
    Ok(format!("met {met} refusals"))
}
