//! Which bucket, where it is, and how it is spoken to. Credentials come from the standard chain, unless an embedder has some.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use peat_core::ports::ObjectError;

use super::etag::EtagForm;
use super::key::Scope;

/// How long a request may go without progress, unless set: a store that answers at all answers sooner, also when it is
/// busy, and a connection that died silently is given up before a lease of a minute is.
pub const NO_PROGRESS_DEFAULT: Duration = Duration::from_secs(20);

/// Longest name of a bucket: AWS takes 63 characters, others up to 255.
const BUCKET_CHARACTERS_MAX: usize = 255;

/// Called once when a store has shown how it takes ETags.
pub(super) type Learnt = Arc<dyn Fn(EtagForm) + Send + Sync>;

/// Everything about a bucket but the credentials.
#[derive(Clone)]
pub struct BucketSettings {
    /// Its name.
    pub bucket: String,
    /// All keys lie below it; empty for the whole bucket.
    pub prefix: String,
    /// Where it is; otherwise as the environment or the profile says.
    pub region: Option<String>,
    /// URL of a store that is not AWS.
    pub endpoint: Option<String>,
    /// The bucket's name in the path rather than in the host name; otherwise so where there is an endpoint.
    pub path_style: Option<bool>,
    /// A profile of the AWS configuration files; otherwise as the environment says.
    pub profile: Option<String>,
    /// Certificates (PEM) trusted besides those of the system.
    pub ca_bundle: Option<PathBuf>,
    /// How long a request may go without progress.
    pub no_progress: Duration,
    /// What an earlier process learnt.
    pub etag_form: Option<EtagForm>,
    /// Told what this one learns.
    pub learnt: Arc<dyn Fn(EtagForm) + Send + Sync>,
    /// Whom to be, for embedders; otherwise the standard chain finds out.
    pub keys: Option<AccessKeys>,
}

/// An access key and its secret.
#[derive(Clone)]
pub struct AccessKeys {
    /// Names who asks.
    pub id: String,
    /// Signs.
    pub secret: String,
}

impl fmt::Debug for AccessKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AccessKeys({}, …)", self.id)
    }
}

impl BucketSettings {
    /// A bucket, everything else as the environment says.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            region: None,
            endpoint: None,
            path_style: None,
            profile: None,
            ca_bundle: None,
            no_progress: NO_PROGRESS_DEFAULT,
            etag_form: None,
            learnt: Arc::new(|_| {}),
            keys: None,
        }
    }

    /// Checks what can be checked without a request.
    pub(super) fn scope(&self) -> Result<Scope, ObjectError> {
        let usual = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
        let begins = self.bucket.starts_with(|character: char| character.is_ascii_alphanumeric());
        if !begins || self.bucket.len() > BUCKET_CHARACTERS_MAX || !self.bucket.chars().all(usual) {
            return Err(misconfigured("bucket", "a bucket is named with letters, digits, '.', '-' and '_'"));
        }
        if let Some(endpoint) = &self.endpoint {
            check_endpoint(endpoint)?;
        }
        Scope::new(&self.bucket, &self.prefix)
    }
}

impl fmt::Debug for BucketSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BucketSettings")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .field("path_style", &self.path_style)
            .finish_non_exhaustive()
    }
}

/// A setting that cannot be used.
pub(super) fn misconfigured(setting: &str, reason: impl Into<String>) -> ObjectError {
    ObjectError::Misconfigured { key: setting.to_owned(), reason: reason.into() }
}

fn check_endpoint(endpoint: &str) -> Result<(), ObjectError> {
    let rest = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let host = rest.map(|rest| rest.strip_suffix('/').unwrap_or(rest)).unwrap_or_default();
    let usual = |character: char| character.is_ascii_alphanumeric() || "._-:[]".contains(character);
    if host.is_empty() || !host.chars().all(usual) {
        let rule = "write it as https://HOST or https://HOST:PORT, without user, path or query";
        return Err(misconfigured("endpoint", format!("an endpoint is the URL of a store; {rule}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_bucket_or_an_endpoint_is_refused_before_any_request() {
        let good = BucketSettings { endpoint: Some("http://127.0.0.1:9000/".into()), ..BucketSettings::new("a-b.c") };
        assert!(good.scope().is_ok());
        for bucket in ["", "a/b", "..", "-a", "a b", &"x".repeat(300)] {
            let error = BucketSettings::new(bucket).scope().unwrap_err();
            assert!(matches!(&error, ObjectError::Misconfigured { key, .. } if key == "bucket"), "{bucket}: {error}");
        }
        for endpoint in ["", "minio:9000", "ftp://a", "http://", "http://user:word@a", "http://a/path", "http://a?b"] {
            let settings = BucketSettings { endpoint: Some(endpoint.into()), ..BucketSettings::new("a") };
            let error = settings.scope().unwrap_err();
            assert!(
                matches!(&error, ObjectError::Misconfigured { key, .. } if key == "endpoint"),
                "{endpoint}: {error}"
            );
        }
    }
}
