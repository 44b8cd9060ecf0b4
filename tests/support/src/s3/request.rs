//! A request, read whole and taken apart.

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use peat_core::digest::Digest;

use super::fault::Habits;
use super::{ACCESS_KEY, BUCKET, REGION};

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) bucket: String,
    pub(super) key: String,
    query: Vec<(String, String)>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Request {
    /// Reads it to its end; an error when the client broke it off.
    pub(super) async fn read(request: hyper::Request<Incoming>) -> Result<Self, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = decoded(head.uri.path().trim_start_matches('/'));
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        let query = head.uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let query = query.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let header = |(name, value): (&hyper::header::HeaderName, &hyper::header::HeaderValue)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Ok(Self {
            method: head.method.as_str().to_owned(),
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            query: query.map(|(name, value)| (decoded(name), decoded(&value.replace('+', " ")))).collect(),
            headers: head.headers.iter().map(header).collect(),
            body,
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn query(&self, name: &str) -> Option<String> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// Who asks, for which region and bucket: status and code of a refusal.
    pub(super) fn check(&self, habits: &Habits) -> Result<(), (u16, &'static str)> {
        let authorization = self.header("authorization").ok_or((403, "AccessDenied"))?;
        let signed = authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or((400, "InvalidRequest"))?;
        let field = |name: &str| signed.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let scope: Vec<&str> = field("Credential").unwrap_or_default().split('/').collect();
        let signature = field("Signature").unwrap_or_default();
        if self.header("x-amz-date").is_none() || signature.len() != 64 || scope.len() != 5 {
            return Err((400, "AuthorizationHeaderMalformed"));
        }
        if let Some(code) = habits.refuses_credentials {
            return Err((if code == "ExpiredToken" { 400 } else { 403 }, code));
        }
        if scope[0] != ACCESS_KEY {
            return Err((403, "InvalidAccessKeyId"));
        }
        if scope[2] != habits.region.unwrap_or(REGION) {
            return Err((400, "AuthorizationHeaderMalformed"));
        }
        self.check_digest()?;
        if habits.has_no_bucket || self.bucket != BUCKET {
            return Err((404, "NoSuchBucket"));
        }
        Ok(())
    }

    /// The body is the one that was signed.
    fn check_digest(&self) -> Result<(), (u16, &'static str)> {
        match self.header("x-amz-content-sha256") {
            None => Err((400, "InvalidRequest")),
            Some("UNSIGNED-PAYLOAD") => Ok(()),
            Some(digest) if digest == Digest::of(&self.body).to_string() => Ok(()),
            Some(_) => Err((400, "XAmzContentSHA256Mismatch")),
        }
    }
}

pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()) {
            Some(byte) => {
                plain.push(byte);
                at += 3;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}
