//! `peat version`.

use serde_json::json;

use crate::rendering::{Answer, Page};

/// The version of this build.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Shows the version.
pub(super) fn show() -> Answer {
    let mut page = Page::default();
    page.line(format!("peat {VERSION}"));
    Answer::new(json!({ "version": VERSION }), page)
}
