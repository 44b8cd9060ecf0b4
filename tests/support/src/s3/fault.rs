//! Faults: single requests that go wrong as a test says, and habits a store may have.

use std::time::Duration;

use super::operation::Operation;

/// What goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is not carried out, and the connection is closed.
    LostRequest,
    /// It is carried out, and the connection is closed without an answer.
    LostReply,
    /// It is not carried out, and refused with this.
    Refused {
        /// Status.
        status: u16,
        /// Code in the body; no body where it is empty.
        code: &'static str,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// It is carried out, and then refused with this.
    AppliedAndRefused {
        /// Status.
        status: u16,
        /// Code in the body.
        code: &'static str,
    },
    /// It waits so long before it is carried out.
    Late(Duration),
    /// It is carried out, and its answer waits so long.
    LateReply(Duration),
    /// The answer's body breaks off after so many bytes.
    Truncated(usize),
    /// The answer's body comes a byte at a time, with this pause.
    Dripping(Duration),
    /// A byte of the answer's body is another one.
    WrongByte,
}

/// Which requests a fault meets.
#[derive(Debug, Clone)]
pub struct Rule {
    operation: Option<Operation>,
    key_part: String,
    skip: u32,
    times: u32,
    fault: Fault,
}

impl Rule {
    /// The next request, whatever it is.
    pub fn next(fault: Fault) -> Self {
        Self { operation: None, key_part: String::new(), skip: 0, times: 1, fault }
    }

    /// Only requests of this kind.
    pub fn on(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Only requests whose key contains this.
    pub fn key(self, part: &str) -> Self {
        Self { key_part: part.to_owned(), ..self }
    }

    /// Not the first so many.
    pub fn after(self, skip: u32) -> Self {
        Self { skip, ..self }
    }

    /// So many of them.
    pub fn times(self, times: u32) -> Self {
        Self { times, ..self }
    }
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub(super) struct Plan {
    rules: Vec<Rule>,
}

impl Plan {
    pub(super) fn add(&mut self, rule: Rule) {
        self.rules.push(rule);
    }

    /// What happens to this request.
    pub(super) fn meet(&mut self, operation: Operation, key: &str) -> Option<Fault> {
        let fits = |rule: &Rule| {
            rule.times > 0 && rule.operation.is_none_or(|wanted| wanted == operation) && key.contains(&rule.key_part)
        };
        for rule in self.rules.iter_mut().filter(|rule| fits(rule)) {
            match rule.skip.checked_sub(1) {
                Some(left) => rule.skip = left,
                None => {
                    rule.times -= 1;
                    return Some(rule.fault.clone());
                }
            }
        }
        None
    }
}

/// How a store behaves, rightly or not.
#[derive(Debug, Clone, Default)]
pub struct Habits {
    /// `If-Match` of writes is ignored.
    pub ignores_if_match: bool,
    /// `If-None-Match` of writes is ignored.
    pub ignores_if_none_match: bool,
    /// `If-Match` of writes is compared with the ETag without quotes, as Ceph 16 does.
    pub compares_unquoted: bool,
    /// What was put together of parts has no ETag in the answer, as with Ceph 16.
    pub completes_without_etag: bool,
    /// There are no batches of deletions.
    pub deletes_singly: bool,
    /// There is no bucket.
    pub has_no_bucket: bool,
    /// Everybody is refused with this code.
    pub refuses_credentials: Option<&'static str>,
    /// Requests signed for another region than this one are sent there.
    pub region: Option<&'static str>,
    /// So many milliseconds are added to the clock of `Date`, not to that of objects.
    pub date_offset_ms: i64,
    /// Every request takes so much longer, as over a network: half of it before it takes effect, half afterwards.
    pub latency: Duration,
    /// Whatever is replaced or deleted stays as an old version, which answers to writes name.
    pub keeps_versions: bool,
}
