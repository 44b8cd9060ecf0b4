//! `peat datastore compact`.

use crate::arguments::DatastoreCompact;
use crate::commands::collection::{Wanted, collection};
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::Answer;

/// Frees room that nothing names, and writes anew what takes more than it must.
pub(super) fn compact(context: &Context, arguments: &DatastoreCompact) -> Result<Answer, Failure> {
    let wanted = Wanted {
        dry_run: false,
        compact: true,
        models: &[],
        grace: arguments.grace,
        lock_timeout: arguments.lock_timeout,
    };
    collection(context, &wanted)
}
