//! `peat datastore verify`.

use peat_core::ports::StoreProfile;
use serde_json::json;

use super::profile::{defect, findings_on, profile_json, remember};
use crate::composition::{Context, Session, run_interruptible};
use crate::exit_code::ExitCode;
use crate::failure::{Failure, error_json};
use crate::rendering::{Answer, Page, Tone};

/// Examines the datastore again: the shared one as its extension does, the embedded one with its integrity check.
pub(super) fn verify(context: &Context) -> Result<Answer, Failure> {
    let session = Session::open(context, context.repository()?)?;
    let defects = session.store.examine()?;
    if !defects.is_empty() {
        return Err(Failure::Corrupt(format!(
            "the local store {} is damaged: {}",
            session.store_path().display(),
            defects.join("; ")
        )));
    }
    if session.repository.shared_datastore().is_none() {
        let mut page = Page::default();
        page.text_line("the datastore is local and well", Tone::Good);
        return Ok(Answer::new(json!({ "datastore": { "kind": "local", "usable": true } }), page));
    }
    let (summary, profile) = run_interruptible(examine(&session))?;
    remember(&session, &profile)?;
    drop(session);
    let mut page = Page::default();
    findings_on(&mut page, &profile);
    let mut json = json!({ "datastore": {
        "kind": "shared", "summary": summary, "usable": true, "profile": profile_json(&profile),
    } });
    let Some(defect) = defect(&profile) else {
        page.text_line(format!("{summary} is well"), Tone::Good);
        return Ok(Answer::new(json, page));
    };
    let complaint = format!("{summary} cannot be used: {defect}");
    json["datastore"]["usable"] = json!(false);
    json["error"] = error_json(ExitCode::DatastoreUnavailable, &complaint)["error"].take();
    Ok(Answer::new(json, page).failing(ExitCode::DatastoreUnavailable, complaint))
}

async fn examine(session: &Session) -> Result<(String, StoreProfile), Failure> {
    let datastore = session
        .datastore()
        .await?
        .ok_or_else(|| Failure::Internal("a shared datastore is configured and none is there".to_owned()))?;
    Ok((datastore.summary(), session.completed(datastore.verify().await?)))
}
