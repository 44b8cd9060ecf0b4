//! `peat repo`.

mod init;

use std::path::Path;

use crate::arguments::RepoCommand;
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::Answer;

pub(super) fn dispatch(context: &Context, command: RepoCommand) -> Result<Answer, Failure> {
    match command {
        RepoCommand::Init { directory, namespace } => {
            let directory = directory.as_deref().or(context.chosen.as_deref()).unwrap_or(Path::new("."));
            init::init(directory, namespace.as_ref())
        }
    }
}
