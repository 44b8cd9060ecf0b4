//! What every object store must do.

use futures::future::join_all;
use peat_core::content::{self, SharedContent};
use peat_core::ports::{Condition, Found, Lookup, ObjectError, ObjectStore, Range};

use crate::samples::{bytes, read};

/// One test a check; `make` gives a `Fixture` with an empty store.
#[macro_export]
macro_rules! object_store_suite {
    ($make:expr) => {
        $crate::suite! { $make, object_store:
            what_was_put_is_read_back
            a_read_against_the_current_etag_brings_no_content
            different_bytes_have_different_etags
            a_missing_object_is_not_found
            a_create_needs_that_nothing_is_there
            a_swap_needs_the_current_etag
            of_many_creates_exactly_one_wins
            of_many_swaps_exactly_one_wins
            nothing_is_lost_or_done_twice_by_swaps
            a_key_and_deeper_keys_exist_side_by_side
            a_listing_is_sorted_and_comes_in_pages
            a_listing_holds_what_begins_with_its_prefix
            a_delimiter_folds_deeper_keys
            a_listing_goes_on_after_a_deleted_key
            parts_are_read_in_the_order_asked
            large_content_comes_back_as_written_and_has_an_etag
            large_content_is_written_on_a_condition
            a_copy_is_an_object_of_its_own_and_never_overwrites
            large_content_is_copied
            deleting_what_is_not_there_is_no_failure
            a_key_cannot_escape
            times_are_of_one_clock
            nothing_is_seen_half_written
        }
    };
}

/// What a store does besides whose ETags are of writes, not of bytes.
#[macro_export]
macro_rules! object_store_etag_suite {
    ($make:expr) => {
        $crate::suite! { $make, object_store:
            no_two_writes_share_an_etag
        }
    };
}

async fn put(store: &dyn ObjectStore, key: &str, bytes: &[u8], condition: Condition) -> Result<String, ObjectError> {
    store.put(key, content::in_memory(bytes), condition).await
}

async fn create(store: &dyn ObjectStore, key: &str) -> String {
    put(store, key, key.as_bytes(), Condition::Absent).await.unwrap()
}

async fn found(store: &dyn ObjectStore, key: &str) -> Found {
    match store.get(key, None).await.unwrap() {
        Lookup::Found(found) => found,
        Lookup::NotModified => panic!("{key}: not modified, though nothing was asked against"),
    }
}

async fn keys(store: &dyn ObjectStore, prefix: &str, delimiter: bool) -> Vec<String> {
    let mut keys = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.list(prefix, delimiter, cursor.as_deref()).await.unwrap();
        assert!(page.objects.len() <= 1_000, "a page of {}", page.objects.len());
        keys.extend(page.objects.into_iter().map(|object| object.key));
        cursor = page.cursor;
        if cursor.is_none() {
            return keys;
        }
    }
}

fn is_conflict<T: std::fmt::Debug>(answer: &Result<T, ObjectError>) -> bool {
    matches!(answer, Err(ObjectError::Conflict { .. }))
}

pub async fn what_was_put_is_read_back(store: &impl ObjectStore) {
    for (index, length) in [0, 1, 48, 300_000, 1 << 20].into_iter().enumerate() {
        let key = format!("space/{index}/object.json");
        let written = bytes(index as u64, length);
        let etag = put(store, &key, &written, Condition::Always).await.unwrap();
        let found = found(store, &key).await;
        assert_eq!((found.object.key, found.object.size, found.object.etag), (key, length as u64, etag));
        assert_eq!(read(&found.content), written);
    }
}

pub async fn a_read_against_the_current_etag_brings_no_content(store: &impl ObjectStore) {
    let first = create(store, "head").await;
    assert!(matches!(store.get("head", Some(&first)).await, Ok(Lookup::NotModified)));
    let second = put(store, "head", b"2", Condition::Always).await.unwrap();
    assert!(matches!(store.get("head", Some(&first)).await, Ok(Lookup::Found(found)) if found.object.etag == second));
}

pub async fn different_bytes_have_different_etags(store: &impl ObjectStore) {
    let mut etags = Vec::new();
    for number in 0..8 {
        etags.push(put(store, "same", format!("bytes {number}").as_bytes(), Condition::Always).await.unwrap());
    }
    etags.push(put(store, "other", b"other bytes", Condition::Always).await.unwrap());
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 9);
}

pub async fn no_two_writes_share_an_etag(store: &impl ObjectStore) {
    let mut etags = Vec::new();
    for _ in 0..8 {
        etags.push(put(store, "same", b"equal bytes", Condition::Always).await.unwrap());
    }
    etags.push(put(store, "other", b"equal bytes", Condition::Always).await.unwrap());
    etags.push(store.copy("other", "copy").await.unwrap());
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 10);
}

pub async fn a_missing_object_is_not_found(store: &impl ObjectStore) {
    create(store, "here/object").await;
    for key in ["gone", "here", "here/gone", "gone/deeper", "here/object/deeper"] {
        assert!(matches!(store.get(key, None).await, Err(ObjectError::NotFound { .. })), "get {key}");
        assert!(matches!(store.get(key, Some("x")).await, Err(ObjectError::NotFound { .. })), "get {key} unless x");
        assert!(matches!(store.get_ranges(key, &[]).await, Err(ObjectError::NotFound { .. })), "ranges of {key}");
        assert!(matches!(store.copy(key, "target").await, Err(ObjectError::NotFound { .. })), "copy {key}");
        let swap = put(store, key, b"x", Condition::Matches("x".into())).await;
        assert!(is_conflict(&swap), "swap {key}: {swap:?}");
    }
    assert_eq!(keys(store, "", false).await, ["here/object"]);
}

pub async fn a_create_needs_that_nothing_is_there(store: &impl ObjectStore) {
    put(store, "a", b"first", Condition::Absent).await.unwrap();
    assert!(is_conflict(&put(store, "a", b"second", Condition::Absent).await));
    assert_eq!(read(&found(store, "a").await.content), b"first");
    assert!(store.delete(&["a".to_owned()]).await.unwrap().is_empty());
    put(store, "a", b"third", Condition::Absent).await.unwrap();
    assert_eq!(read(&found(store, "a").await.content), b"third");
}

pub async fn a_swap_needs_the_current_etag(store: &impl ObjectStore) {
    let first = create(store, "a").await;
    let second = put(store, "a", b"2", Condition::Matches(first.clone())).await.unwrap();
    for stale in [first, String::new(), "\"".to_owned(), second.to_uppercase() + "0"] {
        assert!(is_conflict(&put(store, "a", b"3", Condition::Matches(stale.clone())).await), "{stale:?} was accepted");
    }
    assert_eq!(read(&found(store, "a").await.content), b"2");
}

/// Sixteen writers under one condition: at most one is told that it won, everybody who is told that nothing was written is
/// right, and one of them did write. Who is told neither (a store may be too busy to say) may have won.
async fn race(store: &dyn ObjectStore, key: &str, condition: &Condition) -> Option<String> {
    let attempts = (0..16_u8).map(async |writer| (writer, put(store, key, &[b'w', writer], condition.clone()).await));
    let answers = join_all(attempts).await;
    let content = match store.get(key, None).await {
        Ok(Lookup::Found(found)) => Some((read(&found.content), found.object.etag)),
        Ok(Lookup::NotModified) => panic!("{key}: not modified, though nothing was asked against"),
        Err(ObjectError::NotFound { .. }) => None,
        Err(error) => panic!("{error}"),
    };
    let is_of = |writer: u8| content.as_ref().is_some_and(|(bytes, _)| *bytes == [b'w', writer]);
    let mut winners = Vec::new();
    for (writer, answer) in &answers {
        match answer {
            Ok(etag) => {
                winners.push(writer);
                assert!(is_of(*writer), "{writer} was told that it won, {content:?} is there");
                assert_eq!(Some(etag), content.as_ref().map(|(_, etag)| etag));
            }
            Err(ObjectError::Conflict { .. }) => assert!(!is_of(*writer), "{writer} was refused and wrote"),
            Err(ObjectError::Unavailable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(winners.len() <= 1, "{winners:?} were all told that they won");
    let somebody = (0..16).any(is_of);
    let unsure = answers.iter().any(|(_, answer)| matches!(answer, Err(ObjectError::Unavailable { .. })));
    assert!(somebody || unsure, "everybody was refused for certain, and nobody wrote");
    content.filter(|_| somebody).map(|(_, etag)| etag)
}

/// Rounds of a race; stores that are too busy for all of them have none.
const RACES: usize = 5;

pub async fn of_many_creates_exactly_one_wins(store: &impl ObjectStore) {
    let mut won = 0;
    for round in 0..RACES {
        let winner = race(store, &format!("race/{round}"), &Condition::Absent).await;
        won += usize::from(winner.is_some());
    }
    assert!(won > 0, "nobody won any of {RACES} races");
}

pub async fn of_many_swaps_exactly_one_wins(store: &impl ObjectStore) {
    let mut won = 0;
    for round in 0..RACES {
        let key = format!("head/{round}");
        let first = create(store, &key).await;
        let winner = race(store, &key, &Condition::Matches(first)).await;
        won += usize::from(winner.is_some());
    }
    assert!(won > 0, "nobody won any of {RACES} races");
}

/// Adds a line to the object `key` by compare-and-swap, once, whatever the store answers: what became of an unanswered
/// attempt a read shows.
pub async fn append(store: &dyn ObjectStore, key: &str, line: &str) {
    loop {
        let before = found(store, key).await;
        let text = String::from_utf8(read(&before.content)).unwrap();
        if text.lines().any(|known| known == line) {
            return;
        }
        let swap = put(store, key, format!("{text}{line}\n").as_bytes(), Condition::Matches(before.object.etag)).await;
        match swap {
            Ok(_) => return,
            Err(ObjectError::Conflict { .. } | ObjectError::Unavailable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// The lines of an object.
pub async fn lines(store: &dyn ObjectStore, key: &str) -> Vec<String> {
    let text = String::from_utf8(read(&found(store, key).await.content)).unwrap();
    text.lines().map(str::to_owned).collect()
}

pub async fn nothing_is_lost_or_done_twice_by_swaps(store: &impl ObjectStore) {
    put(store, "log", b"", Condition::Absent).await.unwrap();
    let writers = (0..6).map(async |writer| {
        for number in 0..10 {
            append(store, "log", &format!("{writer} {number}")).await;
        }
    });
    join_all(writers).await;
    let mut lines = lines(store, "log").await;
    lines.sort();
    let mut expected: Vec<String> = (0..60).map(|number| format!("{} {}", number / 10, number % 10)).collect();
    expected.sort();
    assert_eq!(lines, expected);
}

pub async fn a_key_and_deeper_keys_exist_side_by_side(store: &impl ObjectStore) {
    for key in ["a", "a/b", "a/b/c", "a/b/c/d"] {
        create(store, key).await;
    }
    for key in ["a", "a/b", "a/b/c", "a/b/c/d"] {
        assert_eq!(read(&found(store, key).await.content), key.as_bytes());
    }
    assert_eq!(keys(store, "", false).await, ["a", "a/b", "a/b/c", "a/b/c/d"]);
    assert_eq!(keys(store, "", true).await, ["a", "a/"]);
    assert!(store.delete(&["a/b".to_owned()]).await.unwrap().is_empty());
    assert_eq!(keys(store, "", false).await, ["a", "a/b/c", "a/b/c/d"]);
}

pub async fn a_listing_is_sorted_and_comes_in_pages(store: &impl ObjectStore) {
    let mut expected: Vec<String> = (0..1_030).map(|number| format!("many/{}/{number:04}", number % 7)).collect();
    for batch in expected.chunks(64) {
        join_all(batch.iter().map(|key| create(store, key))).await;
    }
    expected.sort();
    let first = store.list("many/", false, None).await.unwrap();
    // S3: a page may have fewer than it was asked for; `keys` follows them to the end, and none has more.
    assert!(first.cursor.is_some(), "one page of {}", first.objects.len());
    let listed: Vec<&str> = first.objects.iter().map(|object| object.key.as_str()).collect();
    assert_eq!(listed, expected[..listed.len()]);
    assert_eq!(keys(store, "many/", false).await, expected);
    let folded = store.list("many/", true, None).await.unwrap();
    assert_eq!((folded.objects.len(), folded.cursor), (7, None));
    for object in first.objects.iter().step_by(101) {
        assert_eq!(found(store, &object.key).await.object, *object);
    }
}

pub async fn a_listing_holds_what_begins_with_its_prefix(store: &impl ObjectStore) {
    for key in ["ab", "ab/1", "abc", "abc/2", "ac", "b/ab"] {
        create(store, key).await;
    }
    assert_eq!(keys(store, "ab", false).await, ["ab", "ab/1", "abc", "abc/2"]);
    assert_eq!(keys(store, "ab", true).await, ["ab", "ab/", "abc", "abc/"]);
    assert_eq!(keys(store, "ab/", true).await, ["ab/1"]);
    assert_eq!(keys(store, "b/a", true).await, ["b/ab"]);
    assert_eq!(keys(store, "none/", false).await, [""; 0]);
}

pub async fn a_delimiter_folds_deeper_keys(store: &impl ObjectStore) {
    for key in ["x/a.b", "x/a/1", "x/a/2/3", "x/a-", "x/a0", "x/z"] {
        create(store, key).await;
    }
    assert_eq!(keys(store, "x/", true).await, ["x/a-", "x/a.b", "x/a/", "x/a0", "x/z"]);
    assert_eq!(keys(store, "x/", false).await, ["x/a-", "x/a.b", "x/a/1", "x/a/2/3", "x/a0", "x/z"]);
    store.delete(&["x/a/1".to_owned(), "x/a/2/3".to_owned()]).await.unwrap();
    assert_eq!(keys(store, "x/", true).await, ["x/a-", "x/a.b", "x/a0", "x/z"], "a folded key without objects");
}

pub async fn a_listing_goes_on_after_a_deleted_key(store: &impl ObjectStore) {
    for key in ["q/1", "q/2/a", "q/2/b", "q/3"] {
        create(store, key).await;
    }
    let after = |cursor: &'static str| async move {
        let page = store.list("q/", false, Some(cursor)).await.unwrap();
        page.objects.into_iter().map(|object| object.key).collect::<Vec<_>>()
    };
    assert_eq!(after("q/2/a").await, ["q/2/b", "q/3"]);
    store.delete(&["q/2/a".to_owned()]).await.unwrap();
    assert_eq!(after("q/2/a").await, ["q/2/b", "q/3"]);
    assert_eq!(after("q/3").await, [""; 0]);
}

/// More than stores take in one request, or are given in one.
const LARGE_BYTES: usize = 9 << 20;

/// Bytes of a content that a bucket copies in parts.
const COPIED_BYTES: usize = 65 << 20;

pub async fn large_content_comes_back_as_written_and_has_an_etag(store: &impl ObjectStore) {
    let written = bytes(8, LARGE_BYTES);
    let etag = put(store, "large", &written, Condition::Always).await.unwrap();
    let found = found(store, "large").await;
    assert!(read(&found.content) == written, "not the bytes that were written");
    assert_eq!(found.object.etag, etag);
    put(store, "large", b"small", Condition::Matches(etag)).await.unwrap();
}

pub async fn large_content_is_written_on_a_condition(store: &impl ObjectStore) {
    let first = bytes(8, LARGE_BYTES);
    let etag = put(store, "large", &first, Condition::Absent).await.unwrap();
    assert_eq!(found(store, "large").await.object.etag, etag);
    let second = bytes(9, LARGE_BYTES);
    assert!(is_conflict(&put(store, "large", &second, Condition::Absent).await));
    assert!(is_conflict(&put(store, "large", &second, Condition::Matches(format!("{etag}0"))).await));
    assert!(is_conflict(&put(store, "none", &second, Condition::Matches(etag.clone())).await));
    assert!(read(&found(store, "large").await.content) == first, "a write whose condition does not hold took place");
    let swapped = put(store, "large", &second, Condition::Matches(etag.clone())).await.unwrap();
    assert!(is_conflict(&put(store, "large", &first, Condition::Matches(etag)).await));
    let found = found(store, "large").await;
    assert!(read(&found.content) == second, "not the bytes that were written");
    assert_eq!(found.object.etag, swapped);
}

pub async fn parts_are_read_in_the_order_asked(store: &impl ObjectStore) {
    for length in [10_usize, 600_000] {
        let written = bytes(7, length);
        put(store, "pack", &written, Condition::Always).await.unwrap();
        let ranges = [(length - 3, 3), (0, 2), (4, 0), (1, length - 1)];
        let wanted: Vec<Range> =
            ranges.iter().map(|(offset, part)| Range { offset: *offset as u64, length: *part as u64 }).collect();
        let parts: Vec<SharedContent> = store.get_ranges("pack", &wanted).await.unwrap();
        let read: Vec<Vec<u8>> = parts.iter().map(read).collect();
        let expected: Vec<&[u8]> = ranges.iter().map(|(offset, part)| &written[*offset..offset + part]).collect();
        assert_eq!(read, expected);
    }
    for (offset, length) in [(599_999, 2), (u64::MAX, 1), (1, u64::MAX)] {
        let outside = store.get_ranges("pack", &[Range { offset, length }]).await;
        assert!(matches!(outside, Err(ObjectError::Corrupt { .. })), "{offset}+{length}: {outside:?}");
    }
}

pub async fn a_copy_is_an_object_of_its_own_and_never_overwrites(store: &impl ObjectStore) {
    create(store, "from/source").await;
    let etag = store.copy("from/source", "to/target").await.unwrap();
    let copy = found(store, "to/target").await;
    assert_eq!((copy.object.etag.as_str(), read(&copy.content)), (etag.as_str(), b"from/source".to_vec()));
    assert!(is_conflict(&store.copy("from/source", "to/target").await));
    store.delete(&["from/source".to_owned()]).await.unwrap();
    assert_eq!(read(&found(store, "to/target").await.content), b"from/source");
}

pub async fn large_content_is_copied(store: &impl ObjectStore) {
    for size in [LARGE_BYTES, COPIED_BYTES] {
        let (source, target) = (format!("from/{size}"), format!("to/{size}"));
        let written = bytes(3, size);
        put(store, &source, &written, Condition::Always).await.unwrap();
        let etag = store.copy(&source, &target).await.unwrap();
        let copy = found(store, &target).await;
        assert_eq!(copy.object.etag, etag);
        assert!(read(&copy.content) == written, "not the bytes that were copied");
        assert!(is_conflict(&store.copy(&source, &target).await));
    }
}

pub async fn deleting_what_is_not_there_is_no_failure(store: &impl ObjectStore) {
    create(store, "a").await;
    let wanted = ["gone", "a", "deeper/gone", "a"].map(str::to_owned);
    assert!(store.delete(&wanted).await.unwrap().is_empty());
    assert!(matches!(store.get("a", None).await, Err(ObjectError::NotFound { .. })));
    create(store, "b").await;
    let failures = store.delete(&["b".to_owned(), "../x".to_owned()]).await.unwrap();
    assert!(matches!(&failures[..], [(key, ObjectError::InvalidKey { .. })] if key == "../x"), "{failures:?}");
    assert_eq!(keys(store, "", false).await, [""; 0]);
}

pub async fn a_key_cannot_escape(store: &impl ObjectStore) {
    let long = "x".repeat(4_096);
    for key in ["", "..", "../x", "/etc/passwd", "a/../../x", "a//b", "a/", "./a", "a\0b", "a\\..\\b", &long] {
        let refused = |answer: Result<(), ObjectError>| matches!(answer, Err(ObjectError::InvalidKey { .. }));
        assert!(refused(store.get(key, None).await.map(|_| ())), "get {key:?}");
        assert!(refused(store.get_ranges(key, &[]).await.map(|_| ())), "ranges {key:?}");
        assert!(refused(put(store, key, b"x", Condition::Always).await.map(|_| ())), "put {key:?}");
        assert!(refused(store.copy(key, "b").await.map(|_| ())), "copy from {key:?}");
    }
    create(store, "a").await;
    assert!(matches!(store.copy("a", "../b").await, Err(ObjectError::InvalidKey { .. })));
    assert!(matches!(store.list("../", false, None).await, Err(ObjectError::InvalidKey { .. })));
}

pub async fn times_are_of_one_clock(store: &impl ObjectStore) {
    create(store, "a").await;
    let found = found(store, "a").await;
    let age = found.store_time_ms.checked_sub(found.object.modified_ms).expect("modified after the answer");
    assert!(age < 5_000, "an object just written is {age} ms old");
    let listing = store.list("", false, None).await.unwrap();
    assert_eq!(listing.objects[0].modified_ms, found.object.modified_ms);
    assert!(listing.store_time_ms >= found.store_time_ms);
}

pub async fn nothing_is_seen_half_written(store: &impl ObjectStore) {
    let uniform = |letter: u8| vec![letter; 100_000 + 50_000 * usize::from(letter - b'a')];
    put(store, "object", &uniform(b'a'), Condition::Always).await.unwrap();
    let writing = async {
        for letter in (b'a'..=b'h').cycle().take(40) {
            put(store, "object", &uniform(letter), Condition::Always).await.unwrap();
        }
    };
    let reading = async {
        for _ in 0..80 {
            let seen = read(&found(store, "object").await.content);
            assert!(seen == uniform(seen[0]), "{} bytes that begin with {}", seen.len(), seen[0]);
        }
    };
    futures::join!(writing, reading);
}
