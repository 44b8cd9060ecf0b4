//! Answers that are not what they must be.

use peat_sdk::Error;
use peat_sdk::content::{self, Blob};
use peat_sdk::datastore::*;

use super::Misbehaviour;

/// Makes a page wrong in every way that is wanted.
pub(crate) async fn in_page(
    misbehaviour: &Misbehaviour,
    page: &mut PullPage,
    cursor: Option<String>,
) -> Result<(), Error> {
    for delta in &mut page.deltas {
        if misbehaviour.is("only-changed") {
            delta.mode = DeltaMode::Changed;
            delta.entries.clear();
        }
        if misbehaviour.is("foreign-partition") {
            delta.partition = "model--of--somebody-else".to_owned();
        }
        for pulled in &mut delta.entries {
            let entry = &mut pulled.entry;
            if misbehaviour.is("wrong-size") {
                entry.size += 1;
            }
            if misbehaviour.is("huge-size") {
                entry.size = u64::MAX;
            }
            if misbehaviour.is("huge-version") {
                entry.version = u64::MAX;
            }
            if misbehaviour.is("no-digest") {
                entry.digest = "unknown".to_owned();
            }
            if misbehaviour.is("no-content") {
                pulled.content = None;
            }
            if let Some(content) = pulled.content.take() {
                pulled.content = Some(in_content(misbehaviour, content).await?);
            }
        }
    }
    if misbehaviour.is("same-cursor") {
        page.cursor = Some("again".to_owned());
    }
    if misbehaviour.is("endless-pages") {
        let number: u64 = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        page.cursor = Some((number + 1).to_string());
    }
    Ok(())
}

/// Other bytes, as many.
pub(crate) async fn in_content(misbehaviour: &Misbehaviour, content: Blob) -> Result<Blob, Error> {
    if !misbehaviour.is("wrong-bytes") {
        return Ok(content);
    }
    let mut bytes = content::read(&content, u64::MAX).await?;
    bytes.iter_mut().for_each(|byte| *byte ^= 1);
    content::of(&bytes).await
}

/// Makes a receipt wrong in every way that is wanted.
pub(crate) fn in_receipt(misbehaviour: &Misbehaviour, receipt: &mut Receipt) {
    if misbehaviour.is("too-few") {
        receipt.entries.pop();
    }
    if misbehaviour.is("collected-beyond") {
        receipt.entries.clear();
        receipt.collected = vec![1000];
    }
    for entry in &mut receipt.entries {
        if misbehaviour.is("other-name") {
            entry.name.push_str("-other");
        }
        if misbehaviour.is("other-digest") {
            entry.digest = "0".repeat(64);
        }
        if misbehaviour.is("old-version") {
            entry.version = 1;
        }
        if misbehaviour.is("no-version") {
            entry.version = 0;
        }
    }
}
