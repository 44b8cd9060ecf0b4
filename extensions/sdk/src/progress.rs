//! How far long work has come.

pub use crate::bindings::host::peat::host::progress::Unit;

use crate::bindings::host::peat::host::progress;

/// `done` of `total` items. Cheap: the host drops what comes too fast.
pub fn items(message: &str, done: u64, total: Option<u64>) {
    report(message, done, total, Unit::Items);
}

/// `done` of `total` bytes.
pub fn bytes(message: &str, done: u64, total: Option<u64>) {
    report(message, done, total, Unit::Bytes);
}

fn report(message: &str, done: u64, total: Option<u64>, unit: Unit) {
    progress::report(&progress::Update { message: message.to_owned(), done, total, unit });
}
