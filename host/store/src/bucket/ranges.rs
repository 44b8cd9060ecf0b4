//! Parts of one object: neighbours are joined into one request, the others are asked for at once.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use peat_core::content::{self, SharedContent};
use peat_core::ports::{ObjectError, Range};

use super::Inner;
use super::read::{Part, Span, changed};

/// Bytes between two parts that are read and thrown away rather than asked around: a request costs as much.
const GAP_BYTES_MAX: u64 = 64 * 1024;

/// Longest joined request in bytes: the rest is asked for beside it.
const SPAN_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Requests at once for one object.
const SPANS_AT_ONCE: usize = 8;

impl Inner {
    pub(super) async fn get_ranges(&self, key: &str, ranges: &[Range]) -> Result<Vec<SharedContent>, ObjectError> {
        let full = self.scope.full(key)?;
        let Some(spans) = spans(ranges).filter(|spans| !spans.is_empty()) else {
            // Nothing that could be read: still, the object must be there and as long as it is taken for.
            let (_, total) = self.stat(key, &full).await?;
            return ranges
                .iter()
                .map(|range| cut(&[], range, total).ok_or_else(|| beyond(key, range, total)))
                .collect();
        };
        let reads = spans.iter().map(|span| self.part(key, &full, *span)).collect::<Vec<_>>();
        let parts: Vec<Part> = stream::iter(reads).buffered(SPANS_AT_ONCE).try_collect().await?;
        if parts.iter().any(|part| part.etag != parts[0].etag) {
            return Err(changed(key));
        }
        let total = parts[0].total;
        ranges.iter().map(|range| cut(&parts, range, total).ok_or_else(|| beyond(key, range, total))).collect()
    }
}

/// The part of what was read that `range` names.
fn cut(parts: &[Part], range: &Range, total: u64) -> Option<SharedContent> {
    if range.offset.checked_add(range.length)? > total {
        return None;
    }
    if range.length == 0 {
        return Some(content::in_memory(Vec::new()));
    }
    parts.iter().find_map(|part| content::slice(&part.content, range.offset.checked_sub(part.start)?, range.length))
}

fn beyond(key: &str, range: &Range, total: u64) -> ObjectError {
    let reason = format!("{} bytes from {} on were asked for, it has {total}", range.length, range.offset);
    ObjectError::Corrupt { key: key.to_owned(), reason }
}

/// The requests that bring all ranges; none when one ends beyond anything that can be.
fn spans(ranges: &[Range]) -> Option<Vec<Span>> {
    let ends = ranges.iter().map(|range| Some((range.offset, range.offset.checked_add(range.length)?)));
    let mut wanted = ends.collect::<Option<Vec<_>>>()?;
    wanted.retain(|(start, end)| start < end);
    wanted.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (start, end) in wanted {
        match joined.last_mut() {
            // What lies inside an earlier one is cut out of it, however long that is.
            Some(last) if end <= last.1 => {}
            Some(last) if start <= last.1.saturating_add(GAP_BYTES_MAX) && end - last.0 <= SPAN_BYTES_MAX => {
                last.1 = end
            }
            _ => joined.push((start, end)),
        }
    }
    Some(joined.into_iter().map(|(start, end)| Span { start, end: end - 1 }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans_of(ranges: &[(u64, u64)]) -> Vec<(u64, u64)> {
        let ranges: Vec<_> = ranges.iter().map(|(offset, length)| Range { offset: *offset, length: *length }).collect();
        spans(&ranges).unwrap().into_iter().map(|span| (span.start, span.end)).collect()
    }

    #[test]
    fn neighbours_are_one_request_and_distant_parts_are_not() {
        assert_eq!(spans_of(&[(10, 5), (0, 10), (20, 0)]), [(0, 14)]);
        assert_eq!(spans_of(&[(0, 1), (GAP_BYTES_MAX + 1, 1)]), [(0, GAP_BYTES_MAX + 1)]);
        assert_eq!(spans_of(&[(0, 1), (GAP_BYTES_MAX + 2, 1)]).len(), 2);
        let long = SPAN_BYTES_MAX;
        assert_eq!(spans_of(&[(0, long), (long, long)]), [(0, long - 1), (long, 2 * long - 1)]);
        assert_eq!(spans_of(&[(0, 3 * long), (long, 5)]), [(0, 3 * long - 1)]);
        assert_eq!(spans_of(&[(5, 0)]), []);
        assert!(spans(&[Range { offset: u64::MAX, length: 1 }]).is_none());
    }
}
