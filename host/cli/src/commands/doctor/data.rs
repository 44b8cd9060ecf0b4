//! The extensions, the local store and the datastore of the repository.

use peat_core::digest::Digest;
use peat_core::ports::{LocalStore as _, Verdict};

use super::finding::{Finding, State};
use crate::commands::datastore::profile::{defect, remember, remembered};
use crate::composition::{
    COMPONENT_BYTES_MAX, Context, Extensions, Repository, Session, read_bounded, run_interruptible,
};
use crate::failure::Failure;

/// Every extension of `peat.lock`.
pub(super) fn extensions(context: &Context, repository: &Repository) -> Result<Vec<Finding>, Failure> {
    let all = Extensions::open(repository, &context.home()?).all();
    Ok(all
        .into_iter()
        .map(|(locked, installed)| {
            let subject = format!("extension {}", locked.name);
            if let Err(failure) = installed {
                let remedy = "add it again, with `peat extension add FILE`";
                return Finding::bad(subject, State::Broken, failure.to_string(), remedy);
            }
            let source = locked.source.as_ref().map(|source| repository.root.join(source));
            let file = source.and_then(|path| read_bounded(&path, COMPONENT_BYTES_MAX).ok());
            match (file.map(|bytes| Digest::of(&bytes)), &locked.source) {
                (Some(digest), Some(source)) if digest != locked.digest => {
                    let detail = format!("{source} is another component than peat.lock says; the locked one is run");
                    Finding::bad(subject, State::Absent, detail, format!("peat extension add {source}"))
                }
                _ => Finding::good(subject, format!("version {}, as peat.lock says", locked.version)),
            }
        })
        .collect())
}

/// The local store, and what is known of the datastore; `online` asks it.
pub(super) fn datastore(context: &Context, repository: Repository, online: bool) -> Vec<Finding> {
    let session = match Session::open(context, repository) {
        Ok(session) => session,
        Err(failure) => {
            let remedy = "`peat datastore verify` says more";
            return vec![Finding::bad("local store", State::Broken, failure.to_string(), remedy)];
        }
    };
    let mut findings = vec![index(&session)];
    findings.extend(left(&session));
    findings.extend(uncommitted(&session));
    if session.repository.shared_datastore().is_some() {
        findings.push(if online { examined(&session) } else { profile(&session) });
    }
    findings
}

fn index(session: &Session) -> Finding {
    let (subject, place) = ("local store", session.store_path());
    let remedy = "with a shared datastore: move the directory away and sync; with `local`: restore a backup";
    match session.store.examine() {
        Ok(defects) if defects.is_empty() => Finding::good(subject, format!("{} is whole", place.display())),
        Ok(defects) => {
            let detail = format!("{} is damaged: {}", place.display(), defects.join("; "));
            Finding::bad(subject, State::Broken, detail, remedy)
        }
        Err(error) => Finding::bad(subject, State::Broken, error.to_string(), remedy),
    }
}

/// What the repository names as its datastore was left by another checkout of it.
fn left(session: &Session) -> Option<Finding> {
    let departure = session.store.departure().ok().flatten()?;
    let (to, by) = (departure.to, departure.repository.display());
    let detail = format!("its data was copied to {to} for {by}; nothing is written to {}", session.choice.name());
    let remedy = "bring the new peat.yaml; or choose it again, with `peat datastore setup`";
    Some(Finding::bad("datastore in peat.yaml", State::Broken, detail, remedy))
}

fn uncommitted(session: &Session) -> Option<Finding> {
    match session.store.pending(None) {
        Ok(pending) if pending.is_empty() => None,
        Ok(pending) => {
            let detail = format!("{} commits are on this machine alone", pending.len());
            Some(Finding::bad("uncommitted", State::Absent, detail, "peat datastore push"))
        }
        Err(error) => Some(Finding::bad("uncommitted", State::Broken, error.to_string(), "peat datastore verify")),
    }
}

/// What the last examination found.
fn profile(session: &Session) -> Finding {
    let subject = "datastore";
    let examine = "`peat datastore verify`, or `peat doctor --online`, examines it";
    let profile = match remembered(session) {
        Ok(profile) => profile,
        Err(failure) => return Finding::bad(subject, State::Broken, failure.to_string(), examine),
    };
    let Some(profile) = profile else {
        return Finding::bad(subject, State::Absent, "it was never examined from this machine", examine);
    };
    let failed: Vec<&str> = profile["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|finding| finding["verdict"] == "failed")
        .filter_map(|finding| finding["name"].as_str())
        .collect();
    if failed.is_empty() {
        Finding::good(subject, "well when it was last examined")
    } else {
        Finding::bad(subject, State::Broken, format!("when it was last examined: {}", failed.join(", ")), examine)
    }
}

/// Probes the store: whether it can be reached, read, written and deleted from, and its clock.
fn examined(session: &Session) -> Finding {
    let subject = "datastore";
    let examined = run_interruptible(async {
        let datastore = session.shared().await?;
        Ok((datastore.summary(), session.completed(datastore.verify().await?)))
    });
    let (summary, profile) = match examined {
        Ok(examined) => examined,
        Err(failure) => {
            let remedy = "the operators' guide has what the message means and what to do";
            return Finding::bad(subject, State::Broken, failure.to_string(), remedy);
        }
    };
    if let Err(failure) = remember(session, &profile) {
        tracing::debug!(%failure, "the profile was not kept");
    }
    match defect(&profile) {
        Some(defect) => Finding::bad(subject, State::Broken, defect, "use a store that keeps these promises"),
        None => {
            let passed = profile.findings.iter().filter(|finding| finding.verdict == Verdict::Passed);
            let names: Vec<&str> = passed.map(|finding| &*finding.name).collect();
            Finding::good(subject, format!("{summary}: {}", names.join(", ")))
        }
    }
}
