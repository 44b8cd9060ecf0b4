//! Reading an object or a part of it. An answer that breaks off is continued where it broke off, as long as the object is
//! still the same.

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use peat_core::content::SharedContent;
use peat_core::ports::{Found, Lookup, ObjectError, ObjectInfo};
use tokio::sync::OwnedSemaphorePermit;

use super::Inner;
use super::etag;
use super::exchange::{Exchange, Watch};
use super::failure::Refusal;
use super::repeat::{ATTEMPTS_MAX, pause};
use super::sink::Sink;

/// Milliseconds of a second.
const MS_PER_SECOND: u64 = 1_000;

/// Bytes `start` to `end` of an object, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What is asked of one read.
#[derive(Debug, Clone, Default)]
struct Asked<'a> {
    span: Option<Span>,
    unless_etag: Option<&'a str>,
    only_etag: Option<&'a str>,
}

/// An answer whose body is still to come.
struct Opened {
    object: ObjectInfo,
    store_time_ms: u64,
    /// Where its first byte lies in the object.
    start: u64,
    /// Bytes that are to come.
    length: u64,
    /// Bytes of the whole object.
    total: u64,
    body: ByteStream,
    watch: Watch,
    _turn: OwnedSemaphorePermit,
}

/// A part of an object that was read.
pub(super) struct Part {
    pub(super) etag: String,
    pub(super) start: u64,
    pub(super) total: u64,
    pub(super) content: SharedContent,
}

impl Inner {
    pub(super) async fn get(&self, key: &str, unless_etag: Option<&str>) -> Result<Lookup, ObjectError> {
        let full = self.scope.full(key)?;
        let unless_etag = unless_etag.filter(|etag| etag::is_possible(etag));
        let asked = Asked { unless_etag, ..Asked::default() };
        let Some(opened) = self.open(key, &full, &asked).await? else { return Ok(Lookup::NotModified) };
        // Not every store takes the condition in the form it is sent in.
        if unless_etag == Some(opened.object.etag.as_str()) {
            return Ok(Lookup::NotModified);
        }
        let (object, store_time_ms) = (opened.object.clone(), opened.store_time_ms);
        let content = self.receive(key, &full, opened).await?;
        Ok(Lookup::Found(Found { object, content, store_time_ms }))
    }

    /// Reads a part of an object, which may end before the part does.
    pub(super) async fn part(&self, key: &str, full: &str, span: Span) -> Result<Part, ObjectError> {
        let asked = Asked { span: Some(span), ..Asked::default() };
        let opened = self.open(key, full, &asked).await?.ok_or_else(|| unexpected(key))?;
        let (etag, start, total) = (opened.object.etag.clone(), opened.start, opened.total);
        let content = self.receive(key, full, opened).await?;
        Ok(Part { etag, start, total, content })
    }

    /// ETag and size of an object, without its bytes. Not by HEAD: its refusals do not say whether object or bucket is gone.
    pub(super) async fn stat(&self, key: &str, full: &str) -> Result<(String, u64), ObjectError> {
        let first_byte = Span { start: 0, end: 0 };
        match self.open(key, full, &Asked { span: Some(first_byte), ..Asked::default() }).await {
            Ok(Some(opened)) => Ok((opened.object.etag, opened.total)),
            Ok(None) => Err(unexpected(key)),
            // Only an empty object has no first byte; read whole it tells its ETag.
            Err(ObjectError::Corrupt { .. }) => {
                let opened = self.open(key, full, &Asked::default()).await?.ok_or_else(|| unexpected(key))?;
                Ok((opened.object.etag, opened.total))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks until there is an answer; none when the object was not modified.
    async fn open(&self, key: &str, full: &str, asked: &Asked<'_>) -> Result<Option<Opened>, ObjectError> {
        self.repeated(key, || self.open_once(key, full, asked)).await
    }

    async fn open_once(&self, key: &str, full: &str, asked: &Asked<'_>) -> Result<Option<Opened>, Refusal> {
        let request = self.client.get_object().bucket(&self.scope.bucket).key(full);
        let request = request
            .set_range(asked.span.map(|span| format!("bytes={}-{}", span.start, span.end)))
            .set_if_none_match(asked.unless_etag.map(etag::quoted))
            .set_if_match(asked.only_etag.map(etag::quoted));
        let answer = self.exchange(None, |watch| request.customize().interceptor(watch).send()).await;
        match answer {
            Ok(exchange) => opened(key, asked, exchange).map(Some),
            Err(refusal) if asked.unless_etag.is_some() && refusal.is_not_modified() => Ok(None),
            Err(refusal) if refusal.is_outside() => Err(Refusal::Settled(outside(key))),
            Err(refusal) => Err(refusal),
        }
    }

    /// Takes the whole body in.
    async fn receive(&self, key: &str, full: &str, mut opened: Opened) -> Result<SharedContent, ObjectError> {
        let (etag, start, length) = (opened.object.etag.clone(), opened.start, opened.length);
        let mut sink = Sink::new(&self.spool, key);
        let mut failures = 0;
        loop {
            let before = sink.size();
            let refusal = match self.pour(&mut sink, opened, length).await {
                Ok(()) => return sink.finish().await,
                Err(Refusal::Settled(error)) => return Err(error),
                Err(refusal) => refusal,
            };
            failures = if sink.size() > before { 1 } else { failures + 1 };
            let pause = pause(failures, None).filter(|_| failures < ATTEMPTS_MAX);
            let Some(pause) = pause else { return Err(refusal.into_error(&self.place, key)) };
            tokio::time::sleep(pause).await;
            let rest = Span { start: start + sink.size(), end: start + length - 1 };
            let asked = Asked { span: Some(rest), only_etag: Some(&etag), unless_etag: None };
            opened = match self.open(key, full, &asked).await? {
                Some(again) if again.object.etag == etag && again.start == rest.start => again,
                _ => return Err(changed(key)),
            };
        }
    }

    async fn pour(&self, sink: &mut Sink, mut opened: Opened, length: u64) -> Result<(), Refusal> {
        let watch = opened.watch.clone();
        let pouring = async {
            while let Some(bytes) = opened.body.next().await {
                let bytes = bytes.map_err(|error| Refusal::NoAnswer(format!("the answer broke off: {error}")))?;
                opened.watch.moved(bytes.len());
                if sink.size() + bytes.len() as u64 > length {
                    return Err(Refusal::NoAnswer("the answer is longer than it said".to_owned()));
                }
                sink.write(&bytes).await?;
            }
            Ok(())
        };
        watch.unless_stalled(self.no_progress, pouring).await??;
        if sink.size() < length {
            let reason = format!("the answer ended after {} of {length} bytes", sink.size());
            return Err(Refusal::NoAnswer(reason));
        }
        Ok(())
    }
}

fn opened(key: &str, asked: &Asked<'_>, exchange: Exchange<GetObjectOutput>) -> Result<Opened, Refusal> {
    let Exchange { output, watch, turn } = exchange;
    let useless = |what: &str| Refusal::NoAnswer(format!("the answer {what}"));
    let etag = etag::parse(output.e_tag()).ok_or_else(|| useless("bears no ETag"))?;
    let modified_ms = output.last_modified().and_then(whole_second_ms).ok_or_else(|| useless("bears no time"))?;
    let length = output.content_length().and_then(|length| u64::try_from(length).ok());
    let length = length.ok_or_else(|| useless("bears no length"))?;
    let (start, total) = match output.content_range() {
        Some(range) => content_range(range).ok_or_else(|| useless("is of a range that cannot be understood"))?,
        None => (0, length),
    };
    if start.checked_add(length).is_none_or(|end| end > total) {
        return Err(useless("is of a range outside of the object"));
    }
    // A store that knows no ranges answers everything; another range than the one asked for is of no use.
    if asked.span.is_some_and(|span| span.start < start) {
        return Err(useless("is of another range than was asked for"));
    }
    let store_time_ms = watch.store_time_ms()?;
    let object = ObjectInfo { key: key.to_owned(), size: total, etag, modified_ms };
    Ok(Opened { object, store_time_ms, start, length, total, body: output.body, watch, _turn: turn })
}

/// First byte and size of the whole of `bytes 0-4/10`.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()?))
}

/// Times of reads are whole seconds, and those of listings must be comparable.
pub(super) fn whole_second_ms(time: &DateTime) -> Option<u64> {
    u64::try_from(time.secs()).ok()?.checked_mul(MS_PER_SECOND)
}

fn outside(key: &str) -> ObjectError {
    let reason = "a part outside of it was asked for".to_owned();
    ObjectError::Corrupt { key: key.to_owned(), reason }
}

pub(super) fn changed(key: &str) -> ObjectError {
    let reason = "it was changed while it was read".to_owned();
    ObjectError::Unavailable { key: key.to_owned(), reason, retry_after_ms: None }
}

fn unexpected(key: &str) -> ObjectError {
    let reason = "an unconditional read was answered \"not modified\"".to_owned();
    ObjectError::Unavailable { key: key.to_owned(), reason, retry_after_ms: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_understood_or_not_at_all() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, 10)));
        for bad in ["", "bytes */10", "bytes 5-9/*", "5-9/10", "bytes x-9/10"] {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
