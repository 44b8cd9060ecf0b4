//! The compiled extensions of this user.

use super::finding::{Finding, State};
use crate::composition::{Components, Context};
use crate::failure::Failure;
use crate::rendering::short_size;

/// Checks everything that is kept, as `peat cache verify` does.
pub(super) fn examine(context: &Context) -> Result<Finding, Failure> {
    let home = context.home()?;
    let place = home.cache().display().to_string();
    let cache = Components::new(&home).cache();
    let checked = cache.verify().and_then(|rejected| Ok((rejected, cache.artifacts()?)));
    Ok(match checked {
        Err(error) => {
            let detail = format!("{place} cannot be used: {error}");
            Finding::bad("cache", State::Broken, detail, "make it a directory of yours alone, or set PEAT_CACHE_DIR")
        }
        Ok((rejected, artifacts)) => {
            let bytes: u64 = artifacts.iter().map(|artifact| artifact.bytes).sum();
            let usable = artifacts.iter().filter(|artifact| artifact.usable).count();
            let detail = format!("{usable} compiled extensions, {} in {place}", short_size(bytes));
            if rejected.is_empty() {
                Finding::good("cache", detail)
            } else {
                let detail = format!("{detail}; {} were not what was made here and are set aside", rejected.len());
                Finding::bad("cache", State::Broken, detail, "find out who wrote there; they will be compiled again")
            }
        }
    })
}
