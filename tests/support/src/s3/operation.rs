//! What a request asks for.

use super::request::Request;

/// The requests that Peat makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// GetObject.
    Get,
    /// PutObject.
    Put,
    /// CopyObject.
    Copy,
    /// ListObjectsV2.
    List,
    /// DeleteObject.
    Delete,
    /// DeleteObjects.
    DeleteMany,
    /// CreateMultipartUpload.
    Begin,
    /// UploadPart.
    Part,
    /// UploadPartCopy.
    PartCopy,
    /// CompleteMultipartUpload.
    Complete,
    /// AbortMultipartUpload.
    Abort,
    /// Anything else; not implemented.
    Other,
}

impl Operation {
    /// By method, path and query.
    pub(super) fn of(request: &Request) -> Self {
        let upload = request.query("uploadId").is_some();
        let copied = request.header("x-amz-copy-source").is_some();
        match (request.method.as_str(), request.key.is_empty()) {
            ("GET", true) if request.query("list-type").as_deref() == Some("2") => Self::List,
            ("GET", false) => Self::Get,
            ("PUT", false) => match (upload, copied) {
                (true, true) => Self::PartCopy,
                (true, false) => Self::Part,
                (false, true) => Self::Copy,
                (false, false) => Self::Put,
            },
            ("POST", true) if request.query("delete").is_some() => Self::DeleteMany,
            ("POST", false) if request.query("uploads").is_some() => Self::Begin,
            ("POST", false) if upload => Self::Complete,
            ("DELETE", false) if upload => Self::Abort,
            ("DELETE", false) => Self::Delete,
            _ => Self::Other,
        }
    }
}
