//! What went wrong with a request, and what that means: for whoever repeats it, and for the caller.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use peat_core::ports::ObjectError;

/// Longest text of a store that is repeated in a message, in characters.
const TEXT_CHARACTERS_MAX: usize = 300;

/// Longest time a store may ask us to stay away, in milliseconds: longer is taken for this.
const RETRY_AFTER_MS_MAX: u64 = 3_600_000;

/// How rustls begins what it says of a certificate. Its error is of a crate that this one does not name.
const UNTRUSTED: &str = "invalid peer certificate";

/// Milliseconds of a second.
const MS_PER_SECOND: u64 = 1_000;

/// Where requests go, for messages.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) bucket: String,
    pub(super) endpoint: String,
    pub(super) region: String,
}

/// A request that did not do what it should.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The store answered.
    Answered(Answered),
    /// It did not, or not to the end: what became of the request is unknown.
    NoAnswer(String),
    /// It is not known to be who it says: nothing was sent.
    NotTrusted(String),
    /// There is nobody to be: nothing was sent.
    NoCredentials(String),
    /// Repeating it changes nothing, and what it means is known.
    Settled(ObjectError),
}

/// A store's own refusal.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    /// The store's word for it; empty when it gave none.
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retry_after_ms: Option<u64>,
    /// Where the bucket really is.
    pub(super) region: Option<String>,
}

impl From<ObjectError> for Refusal {
    fn from(error: ObjectError) -> Self {
        Self::Settled(error)
    }
}

impl Refusal {
    /// From the SDK's error.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        // A success whose body cannot be understood is no answer; a refusal without the store's words is one.
        let understood = error.as_service_error();
        if let Some(response) = error.raw_response().filter(|raw| understood.is_some() || !raw.status().is_success()) {
            let header = |name| response.headers().get(name);
            return Self::Answered(Answered {
                status: response.status().as_u16(),
                code: bounded(understood.and_then(|error| error.code()).unwrap_or_default()),
                message: bounded(understood.and_then(|error| error.message()).unwrap_or_default()),
                retry_after_ms: header("retry-after").and_then(|wait| retry_after_ms(wait, header("date"))),
                region: header("x-amz-bucket-region").map(bounded),
            });
        }
        let reason = chain_of(error);
        if is_of_credentials(error) {
            Self::NoCredentials(reason)
        } else if reason.contains(UNTRUSTED) {
            Self::NotTrusted(reason)
        } else {
            Self::NoAnswer(reason)
        }
    }

    /// Whether the same request may fare better.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Answered(answered) => matches!(answered.meaning(), Meaning::Busy | Meaning::Skewed),
            Self::NoAnswer(_) => true,
            Self::NotTrusted(_) | Self::NoCredentials(_) | Self::Settled(_) => false,
        }
    }

    /// When the store said to come back.
    pub(super) fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Answered(answered) => answered.retry_after_ms,
            _ => None,
        }
    }

    /// The store said that a condition does not hold.
    pub(super) fn is_unmet_condition(&self) -> bool {
        matches!(self, Self::Answered(answered) if answered.meaning() == Meaning::Unmet)
    }

    /// The object still has the ETag that was asked against.
    pub(super) fn is_not_modified(&self) -> bool {
        matches!(self, Self::Answered(answered) if answered.status == 304)
    }

    /// There is no such object.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Answered(answered) if answered.meaning() == Meaning::Missing)
    }

    /// The object is shorter than what was asked for.
    pub(super) fn is_outside(&self) -> bool {
        matches!(self, Self::Answered(answered) if answered.status == 416)
    }

    /// The store has no such operation.
    pub(super) fn is_not_implemented(&self) -> bool {
        matches!(self, Self::Answered(answered) if matches!(answered.status, 405 | 501))
    }

    /// The store does not know how to do this at all, or not as it was asked.
    pub(super) fn is_unknown_to_the_store(&self) -> bool {
        let codes = ["NotImplemented", "MethodNotAllowed", "InvalidRequest", "MissingContentMD5", "MalformedXML"];
        self.is_not_implemented() || matches!(self, Self::Answered(answered) if codes.contains(&answered.code.as_str()))
    }

    /// For the caller, with what is to be done about it.
    pub(super) fn into_error(self, place: &Place, key: &str) -> ObjectError {
        let key = key.to_owned();
        match self {
            Self::Settled(error) => error,
            Self::NoAnswer(reason) => {
                let reason = format!("{place}: {reason}");
                ObjectError::Unavailable { key, reason, retry_after_ms: None }
            }
            Self::NotTrusted(reason) => {
                let reason = format!(
                    "{place}: {reason}; name the certificates of the authority to trust, as a PEM file, in AWS_CA_BUNDLE"
                );
                ObjectError::Unavailable { key, reason, retry_after_ms: None }
            }
            Self::NoCredentials(reason) => ObjectError::Denied {
                key,
                reason: format!(
                    "{place}: there are no credentials to use ({reason}); set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, \
                     or AWS_PROFILE, or give this machine a role"
                ),
            },
            Self::Answered(answered) => answered.into_error(place, key),
        }
    }
}

/// What an answer means, whatever its store calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// A condition does not hold.
    Unmet,
    Missing,
    NoBucket,
    Elsewhere,
    /// Come back later; a write may have been applied.
    Busy,
    Skewed,
    Expired,
    Denied,
    Full,
    TooLarge,
    Archived,
    Other,
}

impl Answered {
    fn meaning(&self) -> Meaning {
        match (self.status, self.code.as_str()) {
            (_, "NoSuchBucket") => Meaning::NoBucket,
            // Somebody else is writing the same key at this moment; what came of it shows a read.
            (_, "ConditionalRequestConflict" | "OperationAborted") => Meaning::Busy,
            (_, "RequestTimeTooSkewed") => Meaning::Skewed,
            (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired") => {
                Meaning::Expired
            }
            (_, "QuotaExceeded" | "ServiceQuotaExceeded" | "XMinioStorageFull") | (507, _) => Meaning::Full,
            (_, "EntityTooLarge") => Meaning::TooLarge,
            (_, "InvalidObjectState") => Meaning::Archived,
            (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "PermanentRedirect")
            | (301 | 307 | 308, _) => Meaning::Elsewhere,
            (_, "SlowDown" | "RequestTimeout" | "InternalError" | "BadDigest" | "IncompleteBody" | "NoSuchUpload") => {
                Meaning::Busy
            }
            (412, _) => Meaning::Unmet,
            // By its name alone: a proxy or a wrong endpoint answers 404 too, and says nothing about objects.
            (404, "NoSuchKey") => Meaning::Missing,
            (401 | 403, _) => Meaning::Denied,
            // A success with an error in its body, too.
            (200 | 408 | 409 | 425 | 429 | 500..=506 | 509.., _) => Meaning::Busy,
            _ => Meaning::Other,
        }
    }

    fn into_error(self, place: &Place, key: String) -> ObjectError {
        let said = match (self.code.is_empty(), self.message.is_empty()) {
            (true, _) => format!("{place} answered {}", self.status),
            (false, true) => format!("{place} answered {} ({})", self.code, self.status),
            (false, false) => format!("{place} answered {} ({}): {}", self.code, self.status, self.message),
        };
        let misconfigured =
            |key, remedy: String| ObjectError::Misconfigured { key, reason: format!("{said}; {remedy}") };
        let denied = |key, remedy: &str| ObjectError::Denied { key, reason: format!("{said}; {remedy}") };
        match self.meaning() {
            Meaning::Unmet => ObjectError::Conflict { key },
            Meaning::Missing => ObjectError::NotFound { key },
            Meaning::Busy => ObjectError::Unavailable { key, reason: said, retry_after_ms: self.retry_after_ms },
            Meaning::NoBucket => misconfigured(
                key,
                format!(
                    "create the bucket {}, or correct the settings `bucket`, `region` and `endpoint`",
                    place.bucket
                ),
            ),
            Meaning::Elsewhere => {
                let region = self.region.as_deref().unwrap_or("its own region");
                misconfigured(key, format!("requests were signed for {}; set `region` to {region}", place.region))
            }
            Meaning::Skewed => denied(key, "this machine's clock is wrong: set it (NTP) and try again"),
            Meaning::Expired => denied(key, "the credentials have expired: renew them and try again"),
            Meaning::Archived => {
                denied(key, "the object was archived: restore it, and keep archiving rules off this prefix")
            }
            Meaning::Denied => denied(
                key,
                "check the credentials in use and what they allow (docs/bucket-objects.md lists the permissions)",
            ),
            Meaning::Full => ObjectError::Exhausted { key, reason: said },
            Meaning::TooLarge => {
                let remedy = "this store does not take so much in one request, as a write on a condition has to be";
                misconfigured(key, remedy.to_owned())
            }
            Meaning::Other => misconfigured(key, "this store cannot do what was asked as it was asked".to_owned()),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "bucket {} at {}", self.bucket, self.endpoint)
    }
}

/// `Retry-After` in either of its forms.
fn retry_after_ms(wait: &str, answered_at: Option<&str>) -> Option<u64> {
    if let Ok(seconds) = wait.trim().parse::<u64>() {
        return Some(seconds.saturating_mul(MS_PER_SECOND).min(RETRY_AFTER_MS_MAX));
    }
    let milliseconds = |text: &str| http_date_ms(text);
    Some(milliseconds(wait)?.saturating_sub(milliseconds(answered_at?)?).min(RETRY_AFTER_MS_MAX))
}

/// Milliseconds since the Unix epoch of a date as HTTP writes it.
pub(super) fn http_date_ms(text: &str) -> Option<u64> {
    let date = DateTime::from_str(text.trim(), Format::HttpDate).ok()?;
    u64::try_from(date.to_millis().ok()?).ok()
}

fn bounded(text: &str) -> String {
    let shown = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    shown.take(TEXT_CHARACTERS_MAX).collect()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

fn is_of_credentials(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<CredentialsError>())
}

/// The texts of an error and its causes; the SDK's own say little.
fn chain_of(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = bounded(&cause.to_string());
        if !text.is_empty() && !texts.iter().any(|earlier| earlier.contains(&text)) {
            texts.push(text);
        }
    }
    bounded(&texts.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, code: &str) -> Refusal {
        Refusal::Answered(Answered {
            status,
            code: code.to_owned(),
            message: String::new(),
            retry_after_ms: None,
            region: Some("eu-west-1".to_owned()),
        })
    }

    fn place() -> Place {
        Place { bucket: "team".into(), endpoint: "https://store.example".into(), region: "us-east-1".into() }
    }

    #[test]
    fn an_answer_is_understood_and_named_with_bucket_endpoint_and_remedy() {
        let text = |status, code| answered(status, code).into_error(&place(), "a/b").to_string();
        for (status, code, words) in [
            (404, "NoSuchBucket", "create the bucket team"),
            (403, "AccessDenied", "permissions"),
            (403, "InvalidAccessKeyId", "check the credentials"),
            (400, "ExpiredToken", "renew them"),
            (403, "RequestTimeTooSkewed", "clock is wrong"),
            (301, "PermanentRedirect", "set `region` to eu-west-1"),
            (400, "AuthorizationHeaderMalformed", "signed for us-east-1"),
            (403, "QuotaExceeded", "no room left"),
            (501, "NotImplemented", "not available"),
        ] {
            let message = text(status, code);
            assert!(message.contains(words), "{status} {code}: {message}");
            assert!(message.contains("bucket team at https://store.example"), "{status} {code}: {message}");
        }
    }

    #[test]
    fn a_write_that_may_have_been_applied_is_never_called_refused() {
        let error = |status, code| answered(status, code).into_error(&place(), "a");
        let unknown =
            [(409, "ConditionalRequestConflict"), (429, ""), (500, "InternalError"), (503, "SlowDown"), (200, "X")];
        for (status, code) in unknown {
            let error = error(status, code);
            assert!(matches!(error, ObjectError::Unavailable { .. }), "{status} {code}: {error}");
        }
        assert!(matches!(error(412, "PreconditionFailed"), ObjectError::Conflict { .. }));
        assert!(matches!(error(412, ""), ObjectError::Conflict { .. }));
        assert!(matches!(error(404, "NoSuchKey"), ObjectError::NotFound { .. }));
        assert!(answered(503, "SlowDown").may_pass() && !answered(403, "AccessDenied").may_pass());
        assert!(!answered(412, "PreconditionFailed").may_pass() && !answered(404, "NoSuchBucket").may_pass());
    }

    #[test]
    fn a_store_says_when_to_come_back_in_seconds_or_as_a_date() {
        assert_eq!(retry_after_ms("7", None), Some(7_000));
        assert_eq!(retry_after_ms("999999999999", None), Some(RETRY_AFTER_MS_MAX));
        let at = |seconds| format!("Sun, 22 Nov 2026 08:00:{seconds:02} GMT");
        assert_eq!(retry_after_ms(&at(30), Some(&at(10))), Some(20_000));
        assert_eq!(retry_after_ms(&at(10), Some(&at(30))), Some(0));
        assert_eq!(retry_after_ms("soon", Some(&at(30))), None);
    }
}
