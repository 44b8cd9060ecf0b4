//! The bucket of a datastore that wants one: from its settings and this machine's environment. Credentials are found by the
//! standard chain of the AWS tools and stay in the host.

use std::path::PathBuf;
use std::sync::Arc;

use peat_core::metadata::Metadata;
use peat_core::ports::{Datastore, Finding, LocalStore as _, Verdict};
use peat_store::{BucketObjects, BucketSettings, EtagForm, SqliteStore};
use serde_json::Value;

use super::Installed;
use super::components::OpenDatastore;
use super::traffic::{Traffic, counted};
use crate::failure::Failure;

/// The setting that names the bucket.
const BUCKET_SETTING: &str = "bucket";

/// Where the local store keeps how the bucket's store takes ETags.
const ETAG_FORM_NOTE: &str = "bucket-etag-form";

/// More certificates to trust, as for the AWS tools.
const CA_BUNDLE_VARIABLE: &str = "AWS_CA_BUNDLE";

/// Opens the bucket; none when the extension wants none. What is learnt of its store is noted in `store`, which belongs to
/// these settings alone.
pub(super) async fn open_bucket(
    metadata: &Metadata,
    settings: &Value,
    store: &Arc<SqliteStore>,
) -> Result<Option<BucketObjects>, Failure> {
    if !metadata.wants.iter().any(|want| want.capability == "bucket") {
        return Ok(None);
    }
    let text = |name: &str| settings.get(name).and_then(Value::as_str).map(str::to_owned);
    let bucket = text(BUCKET_SETTING).ok_or_else(|| {
        Failure::InvalidInput(format!(
            "extension {name} wants a bucket; run `peat datastore setup {name} --setting {BUCKET_SETTING}=NAME`",
            name = metadata.name
        ))
    })?;
    let notes = Arc::clone(store);
    let settings = BucketSettings {
        prefix: text("prefix").unwrap_or_default(),
        region: text("region"),
        endpoint: text("endpoint"),
        path_style: settings.get("pathStyle").and_then(Value::as_bool),
        profile: text("profile"),
        ca_bundle: std::env::var_os(CA_BUNDLE_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from),
        etag_form: store.note(ETAG_FORM_NOTE)?.and_then(|form| EtagForm::parse(&form)),
        // A note that cannot be written costs a request in the next process.
        learnt: Arc::new(move |form| drop(notes.set_note(ETAG_FORM_NOTE, form.as_str()))),
        ..BucketSettings::new(bucket)
    };
    Ok(Some(BucketObjects::open(settings, store.clone()).await?))
}

/// The datastore with a client of its own for its bucket, so that its requests do not wait for the runtime of another one.
/// Where that cannot be, it shares the client.
pub(super) async fn open_beside(
    opened: OpenDatastore,
    installed: Installed,
    settings: Value,
    store: Arc<SqliteStore>,
    traffic: Arc<Traffic>,
) -> Arc<dyn Datastore> {
    match open_bucket(&installed.metadata, &settings, &store).await {
        Ok(Some(bucket)) => opened.through(counted(Arc::new(bucket), &traffic)),
        Ok(None) => opened.port(),
        Err(failure) => {
            tracing::warn!(%failure, "renewals share the client of the command");
            opened.port()
        }
    }
}

/// What only the host sees when a bucket is examined.
pub(super) fn findings(bucket: &BucketObjects) -> Vec<Finding> {
    let form = bucket.etag_form().map(|form| Finding {
        name: "form of ETags".to_owned(),
        verdict: Verdict::Passed,
        detail: format!("If-Match takes them {}", form.as_str()),
    });
    form.into_iter().collect()
}
