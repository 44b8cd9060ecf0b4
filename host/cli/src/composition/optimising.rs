//! After a command whose extension was compiled quickly, because somebody waited for it: a process that nobody waits for makes
//! the optimised code.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Home;
use super::background::{leave_behind, take_lock};
use super::components::Components;
use crate::failure::Failure;

/// No second one is begun so soon: one that failed (the disk is full, say) would fail again.
const REST: Duration = Duration::from_secs(60);

/// The right to optimise in the background; goes with the value.
#[derive(Debug)]
pub(crate) struct Optimising {
    _file: File,
}

impl Optimising {
    /// Takes it, unless another process has it.
    pub(crate) fn take(home: &Home) -> Result<Option<Self>, Failure> {
        Ok(take_lock(&home.optimising_file())?.map(|_file| Self { _file }))
    }
}

/// Has what these components compiled quickly optimised, unless that was begun a moment ago. Never fails: the next command tries
/// again.
pub(crate) fn optimise_later(home: &Home, repository: &Path, components: &Components) {
    let names = components.unoptimised();
    let began = home.optimising_file().metadata().and_then(|metadata| metadata.modified()).ok();
    let rests = began.is_some_and(|began| SystemTime::now().duration_since(began).is_ok_and(|since| since < REST));
    if names.is_empty() || rests || !home.works_in_background() {
        return;
    }
    let mut arguments = vec!["cache", "compile", "--in-background"];
    arguments.extend(names.iter().map(String::as_str));
    if let Err(failure) = leave_behind(&arguments, repository) {
        tracing::info!(%failure, "optimising was not begun");
    }
}
