//! ETags: opaque strings without the quotes that HTTP writes around them, and which form a store takes in `If-Match`.
//!
//! HTTP wants quotes; Ceph 16 compares what it gets with its own ETag unquoted, and so refuses every quoted one. Which form
//! a store takes is learnt from the first conditional write that it accepts, and remembered.

use std::fmt;
use std::sync::OnceLock;

use super::settings::Learnt;

/// Longest ETag, in bytes: those of stores have 32 to 64.
const ETAG_BYTES_MAX: usize = 1_024;

/// How a store takes an ETag in `If-Match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EtagForm {
    /// As HTTP says.
    Quoted,
    /// Without quotes.
    Unquoted,
}

impl EtagForm {
    /// The value of a header.
    pub(super) fn write(self, etag: &str) -> String {
        match self {
            Self::Quoted => quoted(etag),
            Self::Unquoted => etag.to_owned(),
        }
    }

    /// As it is remembered and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quoted => "quoted",
            Self::Unquoted => "unquoted",
        }
    }

    /// What [`as_str`](Self::as_str) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Quoted, Self::Unquoted].into_iter().find(|form| form.as_str() == text)
    }
}

/// What is known of a store's ETags.
pub(super) struct Etags {
    form: OnceLock<EtagForm>,
    learnt: Learnt,
}

impl Etags {
    pub(super) fn new(known: Option<EtagForm>, learnt: Learnt) -> Self {
        Self { form: known.map_or_else(OnceLock::new, OnceLock::from), learnt }
    }

    pub(super) fn form(&self) -> Option<EtagForm> {
        self.form.get().copied()
    }

    /// A conditional write in this form was accepted.
    pub(super) fn learn(&self, form: EtagForm) {
        if self.form.set(form).is_ok() {
            (self.learnt)(form);
        }
    }
}

impl fmt::Debug for Etags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Etags({:?})", self.form())
    }
}

/// The ETag of an answer without its quotes; none when it cannot be one.
pub(super) fn parse(header: Option<&str>) -> Option<String> {
    let text = header?;
    let etag = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    is_possible(etag).then(|| etag.to_owned())
}

/// Whether a store could have answered this ETag: anything else matches no object, and is not put into a header.
pub(super) fn is_possible(etag: &str) -> bool {
    !etag.is_empty() && etag.len() <= ETAG_BYTES_MAX && etag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

/// As HTTP writes it.
pub(super) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn quotes_are_taken_off_and_put_on_again() {
        assert_eq!(parse(Some("\"abc-2\"")).as_deref(), Some("abc-2"));
        assert_eq!(parse(Some("abc")).as_deref(), Some("abc"));
        assert_eq!(EtagForm::Quoted.write("abc"), "\"abc\"");
        assert_eq!(EtagForm::Unquoted.write("abc"), "abc");
        for bad in [None, Some(""), Some("\"\""), Some("a\"b"), Some("a b"), Some("ä")] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_form_is_learnt_once_and_told() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&told);
        let etags = Etags::new(None, Arc::new(move |form| listener.lock().unwrap().push(form)));
        assert_eq!(etags.form(), None);
        etags.learn(EtagForm::Unquoted);
        etags.learn(EtagForm::Quoted);
        assert_eq!(etags.form(), Some(EtagForm::Unquoted));
        assert_eq!(*told.lock().unwrap(), [EtagForm::Unquoted]);
        assert_eq!(EtagForm::parse(EtagForm::Unquoted.as_str()), Some(EtagForm::Unquoted));
    }
}
