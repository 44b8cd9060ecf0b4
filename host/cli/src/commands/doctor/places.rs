//! The directories and the clock that Peat works with.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::finding::{Finding, State};
use crate::composition::{Context, Repository};
use crate::failure::Failure;

/// No Peat was built before this: 1 January 2026, seconds since the Unix epoch.
const EARLIEST_CLOCK_S: u64 = 1_767_225_600;

/// The right of everybody that lets them change what Peat believes.
const WRITABLE_BY_OTHERS: u32 = 0o002;

/// Tries to write where Peat writes.
pub(super) fn examine(context: &Context, repository: Option<&Repository>) -> Result<Vec<Finding>, Failure> {
    let home = context.environment.home()?;
    let mut findings = vec![home_finding(&home)];
    if let Some(repository) = repository {
        findings.push(repository_finding(&repository.root));
    }
    findings.push(clock(SystemTime::now()));
    Ok(findings)
}

fn home_finding(home: &Path) -> Finding {
    let (subject, place) = ("PEAT_HOME", home.display());
    let metadata = match std::fs::metadata(home) {
        // The first command that needs it makes it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Finding::good(subject, format!("{place} is not there yet; the first command makes it"));
        }
        Err(error) => {
            let detail = format!("{place} cannot be read: {error}");
            return Finding::bad(subject, State::Broken, detail, "give it to this user, or set PEAT_HOME");
        }
        Ok(metadata) => metadata,
    };
    if let Some(error) = not_writable(home) {
        let detail = format!("{place} cannot be written: {error}");
        return Finding::bad(subject, State::Broken, detail, "give it to this user, or set PEAT_HOME");
    }
    if metadata.mode() & WRITABLE_BY_OTHERS != 0 {
        let detail = format!("others may write to {place}: they can change what is run and believed here");
        return Finding::bad(subject, State::Broken, detail, format!("chmod go-w {place}"));
    }
    Finding::good(subject, format!("{place} is this user's to write"))
}

fn repository_finding(root: &Path) -> Finding {
    let (subject, place) = ("repository", root.display());
    match not_writable(root) {
        None => Finding::good(subject, format!("{place} can be written")),
        Some(error) => {
            let detail = format!("{place} cannot be written: {error}; models run, nothing can be changed");
            Finding::bad(subject, State::Absent, detail, "give the directory to this user to change models or settings")
        }
    }
}

/// Why no file can be made there; nothing is left of the try.
fn not_writable(directory: &Path) -> Option<std::io::Error> {
    tempfile::Builder::new().prefix(".peat-").tempfile_in(directory).err()
}

fn clock(now: SystemTime) -> Finding {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    if since.as_secs() < EARLIEST_CLOCK_S {
        let detail = "the clock of this machine is before the year 2026: data would be over or kept at wrong times";
        return Finding::bad("clock", State::Broken, detail, "set the clock, with a time service for instance");
    }
    Finding::good("clock", humantime::format_rfc3339_seconds(now).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_broken() {
        assert_eq!(clock(SystemTime::UNIX_EPOCH + Duration::from_secs(3_600)).state, State::Broken);
        assert_eq!(clock(SystemTime::UNIX_EPOCH + Duration::from_secs(EARLIEST_CLOCK_S)).state, State::Good);
    }
}
