//! Listing: pages of at most 1,000 keys, in order. A cursor is the last key of a page, so that a listing goes on wherever it
//! was, also by another process and after that key was deleted.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::Object;
use peat_core::ports::{Listing, ObjectError, ObjectInfo};

use super::Inner;
use super::etag;
use super::exchange::Exchange;
use super::failure::Refusal;
use super::read::whole_second_ms;
use crate::key_rule;

/// Objects of a page: the most that stores answer.
const PAGE_OBJECTS: i32 = 1_000;

impl Inner {
    pub(super) async fn list(
        &self,
        prefix: &str,
        delimiter: bool,
        cursor: Option<&str>,
    ) -> Result<Listing, ObjectError> {
        let full = self.scope.full_prefix(prefix)?;
        if cursor.is_some_and(|cursor| cursor.chars().any(key_rule::is_forbidden)) {
            return Err(key_rule::invalid(prefix, "a cursor is a key that a listing answered"));
        }
        self.repeated(prefix, || self.list_once(&full, delimiter, cursor)).await
    }

    async fn list_once(&self, full: &str, delimiter: bool, cursor: Option<&str>) -> Result<Listing, Refusal> {
        let request = self.client.list_objects_v2().bucket(&self.scope.bucket).prefix(full).max_keys(PAGE_OBJECTS);
        let request = request
            .set_delimiter(delimiter.then(|| "/".to_owned()))
            .set_start_after(cursor.map(|cursor| self.scope.after(cursor)));
        let exchange = self.exchange(None, |watch| request.customize().interceptor(watch).send()).await?;
        self.page(exchange, cursor)
    }

    fn page(&self, exchange: Exchange<ListObjectsV2Output>, cursor: Option<&str>) -> Result<Listing, Refusal> {
        let Exchange { output, watch, .. } = exchange;
        let folded = output.common_prefixes().iter().filter_map(|prefix| self.scope.relative(prefix.prefix()?));
        let folded = folded.map(|key| ObjectInfo { key: key.to_owned(), size: 0, etag: String::new(), modified_ms: 0 });
        let mut objects: Vec<ObjectInfo> = folded.collect();
        for object in output.contents() {
            objects.extend(self.listed(object)?);
        }
        objects.sort_by(|one, other| one.key.cmp(&other.key));
        let last = objects.last().map(|object| object.key.clone());
        let more = output.is_truncated().unwrap_or(false);
        // Some stores name the folder again that a page ended with.
        objects.retain(|object| cursor.is_none_or(|cursor| object.key.as_str() > cursor));
        let cursor = match last.filter(|_| more) {
            Some(last) if cursor.is_some_and(|cursor| last.as_str() <= cursor) => {
                return Err(Refusal::NoAnswer(format!("a listing after {last:?} does not go on")));
            }
            None if more => return Err(Refusal::NoAnswer("a page of a listing is empty and not the last".to_owned())),
            last => last,
        };
        // Whatever is no key here belongs to somebody else.
        objects.retain(|object| is_ours(&object.key));
        Ok(Listing { objects, cursor, store_time_ms: watch.store_time_ms()? })
    }

    fn listed(&self, object: &Object) -> Result<Option<ObjectInfo>, Refusal> {
        let Some(key) = object.key().and_then(|key| self.scope.relative(key)) else { return Ok(None) };
        let useless = |what: &str| Refusal::NoAnswer(format!("a listing shows {key:?} without {what}"));
        let size = object.size().and_then(|size| u64::try_from(size).ok()).ok_or_else(|| useless("its size"))?;
        let etag = etag::parse(object.e_tag()).ok_or_else(|| useless("its ETag"))?;
        let modified_ms = object.last_modified().and_then(whole_second_ms).ok_or_else(|| useless("its time"))?;
        Ok(Some(ObjectInfo { key: key.to_owned(), size, etag, modified_ms }))
    }
}

/// Whether a key of the bucket could have been written through here; one that ends with `/` stands for deeper ones.
fn is_ours(key: &str) -> bool {
    key_rule::check(key.strip_suffix('/').unwrap_or(key), usize::MAX).is_ok()
}
