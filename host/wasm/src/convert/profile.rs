//! What a datastore found out about its store.

use peat_core::ports::{Finding, StoreProfile, Verdict};

use super::text::{line, message, within};
use super::{Invalid, Validated};
use crate::bindings::datastore::exports::peat::datastore::capabilities as guest;

/// Longest store id, in bytes.
const STORE_ID_BYTES_MAX: usize = 128;

/// Most findings of one examination.
const FINDINGS_MAX: usize = 1000;

pub(crate) fn from_guest(profile: guest::Profile) -> Validated<StoreProfile> {
    let printable = profile.store_id.bytes().all(|byte| byte.is_ascii_graphic());
    // A store that is refused has been given no id.
    let is_refused = profile.findings.iter().any(|finding| finding.verdict == guest::Verdict::Failed);
    if !printable || (profile.store_id.is_empty() && !is_refused) {
        return Err(Invalid::field("store-id", "it is printable ASCII, and not empty unless a finding failed"));
    }
    if profile.findings.len() > FINDINGS_MAX {
        return Err(Invalid::field("findings", format!("more than {FINDINGS_MAX}")));
    }
    let finding = |finding: guest::Finding| Finding {
        name: line(&finding.name),
        verdict: match finding.verdict {
            guest::Verdict::Passed => Verdict::Passed,
            guest::Verdict::Failed => Verdict::Failed,
            guest::Verdict::Skipped => Verdict::Skipped,
        },
        detail: message(&finding.detail),
    };
    Ok(StoreProfile {
        store_id: within("store-id", profile.store_id, STORE_ID_BYTES_MAX)?,
        format_version: profile.format_version,
        findings: profile.findings.into_iter().map(finding).collect(),
    })
}
