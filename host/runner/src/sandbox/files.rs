//! Landlock: no file but those below some directories, and these for reading alone.

use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};

/// What of Landlock is asked for: everything that existed when this was written. A kernel that knows less gives less.
const KNOWN: ABI = ABI::V6;

/// What the C library of a static program takes randomness from where it cannot tell whether the kernel has a call for it.
const RANDOMNESS: [&str; 2] = ["/dev/random", "/dev/urandom"];

/// Everything outside of `readable` is out of reach from now on, and so are connections and other processes' sockets.
pub(super) fn only(readable: &[PathBuf]) -> Result<(), String> {
    let wrong = |error: RulesetError| format!("Landlock cannot be set up: {error}");
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(KNOWN)))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(KNOWN)))
        .and_then(Ruleset::create)
        .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(readable, read)))
        .and_then(|ruleset| ruleset.add_rules(path_beneath_rules(RANDOMNESS, read)))
        .and_then(|ruleset| ruleset.restrict_self())
        .map_err(wrong)?;
    match restricted.ruleset {
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
        RulesetStatus::NotEnforced => {
            Err("this kernel has no Landlock (CONFIG_SECURITY_LANDLOCK, lsm=landlock)".to_owned())
        }
    }
}
