//! `peat cache`.

mod clear;
mod compile;
mod status;
mod verify;

use std::collections::BTreeMap;
use std::io;

use peat_core::digest::Digest;

use crate::arguments::CacheCommand;
use crate::composition::{ArtifactCache, Components, Context, Home};
use crate::failure::Failure;
use crate::rendering::Answer;

pub(super) fn dispatch(context: &Context, command: &CacheCommand) -> Result<Answer, Failure> {
    match command {
        CacheCommand::Status => status::status(context),
        CacheCommand::Verify => verify::verify(context),
        CacheCommand::Compile(arguments) => compile::compile(context, arguments),
        CacheCommand::Clear => clear::clear(context),
    }
}

/// The cache of this user, and where it lies.
fn cache(context: &Context) -> Result<(Home, ArtifactCache), Failure> {
    let home = context.home()?;
    let cache = Components::new(&home).cache();
    Ok((home, cache))
}

/// Names of components, as far as this repository has them: the cache is that of all repositories.
fn names(context: &Context) -> BTreeMap<Digest, String> {
    let Ok(repository) = context.repository() else { return BTreeMap::new() };
    let locked = repository.lock.extensions.iter();
    locked.map(|extension| (extension.digest, extension.name.to_string())).collect()
}

/// How a component is called: by its name, or by the beginning of its SHA-256.
fn called(component: &Digest, names: &BTreeMap<Digest, String>) -> String {
    const DIGITS: usize = 12;
    names.get(component).cloned().unwrap_or_else(|| component.to_string().chars().take(DIGITS).collect())
}

fn unreadable(home: &Home, source: io::Error) -> Failure {
    Failure::file("use", &home.cache(), source)
}
