//! `peat cache clear`.

use serde_json::json;

use super::{cache, unreadable};
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::{Answer, Page, short_size};

/// Removes everything that is kept, but what somebody makes or uses outside of a process of Peat.
pub(super) fn clear(context: &Context) -> Result<Answer, Failure> {
    let (home, cache) = cache(context)?;
    let freed = cache.clear().map_err(|error| unreadable(&home, error))?;
    let mut page = Page::default();
    page.line(format!("removed {} from {}", short_size(freed.bytes), home.cache().display()));
    if freed.in_use > 0 {
        page.line(format!("{} in use stay", freed.in_use));
    }
    let json = json!({ "cache": { "directory": home.cache(), "freedBytes": freed.bytes, "inUse": freed.in_use } });
    Ok(Answer::new(json, page))
}
