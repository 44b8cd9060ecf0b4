//! Data items: attributes, versions, other models, pages.

use peat_sdk::content::Blob;
use peat_sdk::data::{Attributes, Lifetime, Tag, attributes};
use peat_sdk::prelude::*;
use serde_json::{Value, json};

/// More items than one page holds.
const ITEMS: u32 = 1200;

/// A day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A text that changes from run to run when its caller wants it.
#[derive(Deserialize)]
pub(crate) struct Text {
    text: Option<String>,
}

pub(crate) async fn write(_: Run, arguments: Text) -> Result<String, Error> {
    let text = arguments.text.unwrap_or_else(|| "äöü\n".to_owned());
    data::write_text("note", "replaced before anybody saw it").await?;
    data::write_text("note", &text).await?;
    data::write_json("deeper/numbers", &json!({ "one": 1, "list": [1, 2.5, null] })).await?;
    data::write_bytes("empty", "application/x-nothing", b"").await?;
    let tag = |name: &str, value: &str| Tag { name: name.to_owned(), value: value.to_owned() };
    let tagged = Attributes {
        content_type: "application/octet-stream".to_owned(),
        lifetime: Some(Lifetime::DurationMs(DAY_MS)),
        tags: vec![tag("stage", "test"), tag("ümlaut", "wert")],
    };
    data::write("tagged", &Blob::of_bytes(&[0, 1, 2, 255])?, tagged).await?;
    let passing = Attributes { lifetime: Some(Lifetime::Run), ..attributes("text/plain") };
    data::write("passing", &Blob::of_bytes(b"gone with the run")?, passing).await?;
    Ok("wrote five items".to_owned())
}

/// Another model, and an older version of its item `note`.
#[derive(Deserialize)]
pub(crate) struct Other {
    model: String,
}

pub(crate) async fn read(_: Run, other: Other) -> Result<String, Error> {
    let mut found = Vec::new();
    for (model, name, version) in [
        (None, "note", None),
        (None, "note", Some(1)),
        (None, "tagged", None),
        (Some(other.model.as_str()), "note", None),
        (Some(other.model.as_str()), "note", Some(1)),
    ] {
        let (artifact, content) = data::read(model, name, version).await?;
        let bytes = content.read(0, 100).await?;
        let tags: Vec<String> =
            artifact.attributes.tags.iter().map(|tag| format!("{}={}", tag.name, tag.value)).collect();
        found.push(json!({
            "name": artifact.name,
            "version": artifact.version,
            "size": artifact.size,
            "digest": artifact.digest,
            "contentType": artifact.attributes.content_type,
            "tags": tags,
            "text": String::from_utf8_lossy(&bytes),
        }));
    }
    data::write_json("found", &found).await?;
    Ok(format!("read {} versions", found.len()))
}

/// Whether to list what an earlier run wrote.
#[derive(Deserialize)]
pub(crate) struct Pages {
    #[serde(default)]
    listing: bool,
}

pub(crate) async fn list(_: Run, arguments: Pages) -> Result<String, Error> {
    if !arguments.listing {
        for number in 0..ITEMS {
            data::write_text(&format!("items/{number:04}"), &number.to_string()).await?;
        }
        return Ok(format!("wrote {ITEMS} items"));
    }
    let mut cursor = None;
    let mut pages: Vec<Value> = Vec::new();
    loop {
        let page = data::list(None, "items/", cursor).await?;
        let name = |artifact: Option<&data::Artifact>| artifact.map(|artifact| artifact.name.clone());
        pages.push(json!({
            "items": page.artifacts.len(),
            "first": name(page.artifacts.first()),
            "last": name(page.artifacts.last()),
        }));
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    data::write_json("pages", &pages).await?;
    Ok(format!("listed {} pages", pages.len()))
}
