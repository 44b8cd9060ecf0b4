//! `peat data gc`.

use crate::arguments::DataGc;
use crate::commands::collection::{Wanted, collection};
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::Answer;

/// Lets go what is over.
pub(super) fn gc(context: &Context, arguments: &DataGc) -> Result<Answer, Failure> {
    let wanted = Wanted {
        dry_run: arguments.dry_run,
        compact: false,
        models: &arguments.models,
        grace: arguments.grace,
        lock_timeout: arguments.lock_timeout,
    };
    collection(context, &wanted)
}
