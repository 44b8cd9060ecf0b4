//! `peat cache clear`.

use serde_json::json;

use super::{cache, unreadable};
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::{Answer, Page, short_size};

/// Removes everything that is kept.
pub(super) fn clear(context: &Context) -> Result<Answer, Failure> {
    let (home, cache) = cache(context)?;
    let freed = cache.clear().map_err(|error| unreadable(&home, error))?;
    let mut page = Page::default();
    page.line(format!("removed {} from {}", short_size(freed), home.cache().display()));
    Ok(Answer::new(json!({ "cache": { "directory": home.cache(), "freedBytes": freed } }), page))
}
