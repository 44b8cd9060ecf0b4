//! What an examination of the datastore found: shown, and remembered for `peat datastore status`.

use peat_core::ports::{LocalStore, StoreProfile, Verdict};
use serde_json::{Value, json};

use crate::composition::{PROFILE_NOTE, Session};
use crate::failure::Failure;
use crate::rendering::{Cell, Page, Table, Tone};

/// The JSON of a profile.
pub(super) fn profile_json(profile: &StoreProfile) -> Value {
    let findings: Vec<Value> = profile
        .findings
        .iter()
        .map(|finding| {
            json!({ "name": finding.name, "verdict": verdict_word(finding.verdict), "detail": finding.detail })
        })
        .collect();
    json!({ "storeId": profile.store_id, "formatVersion": profile.format_version, "findings": findings })
}

/// Shows what was examined.
pub(super) fn findings_on(page: &mut Page, profile: &StoreProfile) {
    if profile.findings.is_empty() {
        return;
    }
    let mut table = Table::new(&["EXAMINED", "VERDICT", "DETAIL"]);
    for finding in &profile.findings {
        let tone = match finding.verdict {
            Verdict::Passed => Tone::Good,
            Verdict::Failed => Tone::Bad,
            Verdict::Skipped => Tone::Quiet,
        };
        table.row(vec![
            Cell::plain(&finding.name),
            Cell::toned(verdict_word(finding.verdict), tone),
            Cell::plain(&finding.detail),
        ]);
    }
    page.table(table);
}

/// Shows what an earlier examination found.
pub(super) fn remembered_findings_on(page: &mut Page, profile: Option<&Value>) {
    let findings = profile.and_then(|profile| profile["findings"].as_array()).filter(|findings| !findings.is_empty());
    let Some(findings) = findings else { return };
    page.heading("When it was last examined");
    let mut table = Table::new(&["EXAMINED", "VERDICT", "DETAIL"]);
    for finding in findings {
        let text = |name: &str| finding[name].as_str().unwrap_or_default();
        let tone = if text("verdict") == verdict_word(Verdict::Passed) { Tone::Good } else { Tone::Bad };
        table.row(vec![Cell::plain(text("name")), Cell::toned(text("verdict"), tone), Cell::plain(text("detail"))]);
    }
    page.table(table);
}

/// What makes a store unusable, in one line; none when all is well.
pub(in crate::commands) fn defect(profile: &StoreProfile) -> Option<String> {
    let failed: Vec<String> = profile
        .findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Failed)
        .map(|finding| format!("{} ({})", finding.name, finding.detail))
        .collect();
    (!failed.is_empty()).then(|| failed.join("; "))
}

/// Remembers a profile.
pub(in crate::commands) fn remember(session: &Session, profile: &StoreProfile) -> Result<(), Failure> {
    Ok(session.store.set_note(PROFILE_NOTE, &profile_json(profile).to_string())?)
}

/// The last profile, when there is one.
pub(in crate::commands) fn remembered(session: &Session) -> Result<Option<Value>, Failure> {
    Ok(session.store.note(PROFILE_NOTE)?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed => "failed",
        Verdict::Skipped => "skipped",
    }
}
