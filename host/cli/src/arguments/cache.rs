//! `peat cache`.

use clap::{Args, Subcommand};
use peat_core::identifiers::ExtensionName;

/// What can be asked of the compiled extensions of this user.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show which compiled extensions are kept, and how much room they take
    #[command(after_help = "Example:\n  peat cache status")]
    Status,
    /// Check that every compiled extension is what was made here; set aside what is not
    #[command(after_help = "Example:\n  peat cache verify")]
    Verify,
    /// Compile the extensions of this repository before they are needed, as for an image
    #[command(after_help = "Example:\n  peat cache compile\n  peat cache compile @examples/text")]
    Compile(CacheCompile),
    /// Remove all compiled extensions; they are compiled again when they are needed
    #[command(after_help = "Example:\n  peat cache clear")]
    Clear,
}

/// `peat cache compile`.
#[derive(Debug, Args)]
pub(crate) struct CacheCompile {
    /// Only these [default: every extension of peat.lock]
    #[arg(value_name = "EXTENSION")]
    pub(crate) extensions: Vec<ExtensionName>,
    /// As the process that a command leaves behind
    #[arg(long, hide = true)]
    pub(crate) in_background: bool,
}
