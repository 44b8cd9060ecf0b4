//! `peat run-scope open`.

use std::time::Duration;

use peat_core::identifiers::NamespaceName;
use serde_json::json;

use super::{SCOPE_MARK, WHAT, collect_expired};
use crate::commands::datastore::namespace::{all_namespaces, namespace_json, refused, with_namespaces};
use crate::composition::{Context, Session, new_id, run_async};
use crate::failure::Failure;
use crate::rendering::{Answer, Page};

/// Longest life of a run scope: what it reads of its parent may be collected there some time after it was replaced.
const EXPIRES_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Opens one and prints its name alone, for `$(…)`.
pub(super) fn open(context: &Context, parent: Option<NamespaceName>, expires: Duration) -> Result<Answer, Failure> {
    if expires.is_zero() || expires > EXPIRES_MAX {
        return Err(Failure::InvalidInput("--expires: write a duration of at most 30 days".to_owned()));
    }
    let session = Session::open(context, context.repository()?)?;
    let parent = parent.unwrap_or_else(|| session.repository.namespace().clone());
    if parent.as_str().contains(SCOPE_MARK) {
        return Err(Failure::InvalidInput(format!(
            "{parent} is a run scope itself and has none; name its parent with --parent, or unset PEAT_NAMESPACE"
        )));
    }
    let name = NamespaceName::parse(&format!("{parent}{SCOPE_MARK}{}", new_id()))?;
    let expires_at_ms = session.now_ms().saturating_add(u64::try_from(expires.as_millis()).unwrap_or(u64::MAX));
    let opened = run_async(async |interrupt| {
        let datastore = with_namespaces(&session, WHAT).await?;
        let opened = datastore.create_namespace(&name, Some(&parent), Some(expires_at_ms)).await.map_err(refused)?;
        // What others forgot; whatever fails there is none of this command's business.
        if let Ok(mut scopes) = all_namespaces(datastore).await {
            scopes.retain(|scope| scope.parent.is_some() && scope.name != name);
            collect_expired(&session, datastore, &interrupt, &scopes).await;
        }
        Ok(opened)
    })?;
    drop(session);
    let mut page = Page::default();
    page.line(name.as_str());
    page.hint(format!("use it with PEAT_NAMESPACE={name}, then: peat run-scope fold {name}"));
    Ok(Answer::new(json!({ "scope": namespace_json(&opened) }), page))
}
