//! `peat repo`.

mod init;

use crate::arguments::RepoCommand;
use crate::composition::Context;
use crate::failure::Failure;
use crate::rendering::Answer;

pub(super) fn dispatch(_context: &Context, command: RepoCommand) -> Result<Answer, Failure> {
    match command {
        RepoCommand::Init { directory, namespace } => init::init(&directory, namespace.as_ref()),
    }
}
