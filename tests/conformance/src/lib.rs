//! Conformance suites: what every implementation of a port must do, written once and run against all of them.
//!
//! A suite is a list of checks, each an async function that takes a fresh subject and panics when the subject fails. The
//! macros turn a suite into one test a check.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

pub mod buckets;
#[cfg(feature = "wasm")]
pub mod components;
pub mod crash_work;
pub mod datastore;
pub mod local_locks;
pub mod local_store;
pub mod native_chain;
pub mod object_store;
pub mod samples;
pub mod worker;

/// A subject and the directory it lives in, which goes with it.
#[derive(Debug)]
pub struct Fixture<S> {
    /// What is examined.
    pub subject: S,
    /// Where it keeps its files, if it has any.
    pub place: Option<tempfile::TempDir>,
}

impl<S> Fixture<S> {
    /// A subject without files.
    pub fn in_memory(subject: S) -> Self {
        Self { subject, place: None }
    }

    /// A subject in a new directory.
    pub fn in_directory(open: impl FnOnce(&std::path::Path) -> S) -> Self {
        let place = tempfile::tempdir().unwrap();
        Self { subject: open(place.path()), place: Some(place) }
    }
}

/// Declares a macro that makes one test of each check of a suite, and the checks' names stay in one list.
#[macro_export]
macro_rules! suite {
    ($make:expr, $module:ident: $($check:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $check() {
                let fixture = $make;
                $crate::$module::$check(&fixture.subject).await;
            }
        )+
    };
}
