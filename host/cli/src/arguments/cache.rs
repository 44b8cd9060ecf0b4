//! `peat cache`.

use clap::Subcommand;

/// What can be asked of the compiled extensions of this user.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// Show which compiled extensions are kept, and how much room they take
    #[command(after_help = "Example:\n  peat cache status")]
    Status,
    /// Check that every compiled extension is what was made here; set aside what is not
    #[command(after_help = "Example:\n  peat cache verify")]
    Verify,
    /// Remove all compiled extensions; they are compiled again when they are needed
    #[command(after_help = "Example:\n  peat cache clear")]
    Clear,
}
