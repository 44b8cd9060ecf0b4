//! What a bucket does when its store or the way to it does not: repeated where repeating is harmless, told where it is not,
//! and named with the remedy.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use peat_conformance_tests::buckets::{open, settings_of};
use peat_conformance_tests::samples::{bytes, read};
use peat_core::content::{self, Content, SharedContent};
use peat_core::digest::Digest;
use peat_core::ports::{Condition, Lookup, ObjectError, ObjectStore as _, Range};
use peat_store::{AccessKeys, BucketObjects, BucketSettings, EtagForm};
use peat_test_support::s3::{BUCKET, Fault, Operation, Rule, S3Server};

/// Bytes of a content that goes up in three parts.
const LARGE_BYTES: usize = 20 << 20;

/// What is given up soon, so that tests need not wait for the default.
const SHORT: Duration = Duration::from_secs(2);

async fn bucket(server: &S3Server) -> BucketObjects {
    open(settings_of(server)).await
}

fn text(text: &str) -> SharedContent {
    content::in_memory(text.as_bytes())
}

async fn create(bucket: &BucketObjects, key: &str) -> String {
    bucket.put(key, text("first"), Condition::Absent).await.unwrap()
}

async fn content_of(bucket: &BucketObjects, key: &str) -> Result<Vec<u8>, ObjectError> {
    match bucket.get(key, None).await? {
        Lookup::Found(found) => Ok(read(&found.content)),
        Lookup::NotModified => panic!("not modified, though nothing was asked against"),
    }
}

fn count(server: &S3Server, operation: Operation) -> usize {
    server.log().iter().filter(|logged| logged.operation == operation).count()
}

fn refused(status: u16, code: &'static str) -> Fault {
    Fault::Refused { status, code, retry_after: None }
}

/// Everything that leaves open what became of a request.
fn unknown() -> Vec<Fault> {
    vec![
        Fault::LostRequest,
        Fault::LostReply,
        refused(409, "ConditionalRequestConflict"),
        refused(429, "TooManyRequests"),
        refused(500, "InternalError"),
        refused(503, "SlowDown"),
        refused(503, ""),
        Fault::AppliedAndRefused { status: 500, code: "InternalError" },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_write_is_made_once_and_its_unknown_outcome_is_told() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    for (number, fault) in unknown().into_iter().enumerate() {
        let key = format!("head-{number}");
        let first = create(&bucket, &key).await;
        for (condition, key) in [(Condition::Matches(first), key.clone()), (Condition::Absent, format!("{key}-new"))] {
            server.clear_log();
            server.fail(Rule::next(fault.clone()).on(Operation::Put));
            let answer = bucket.put(&key, text("second"), condition.clone()).await;
            assert!(matches!(answer, Err(ObjectError::Unavailable { .. })), "{fault:?} {condition:?}: {answer:?}");
            assert_eq!(count(&server, Operation::Put), 1, "{fault:?} {condition:?} was repeated");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_harmless_to_repeat_is_repeated() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    create(&bucket, "there").await;
    for fault in unknown() {
        server.fail(Rule::next(fault.clone()).times(2));
        assert_eq!(content_of(&bucket, "there").await.unwrap(), b"first", "{fault:?}");
        server.fail(Rule::next(fault.clone()).times(2));
        bucket.put("unique", text("bytes"), Condition::Always).await.unwrap();
        server.fail(Rule::next(fault.clone()).times(2));
        assert_eq!(bucket.list("", false, None).await.unwrap().objects.len(), 2, "{fault:?}");
        server.fail(Rule::next(fault).times(2));
        assert!(bucket.delete(&["unique".to_owned(), "gone".to_owned()]).await.unwrap().is_empty());
    }
    server.clear_log();
    server.fail(Rule::next(refused(503, "SlowDown")).times(100));
    assert!(matches!(content_of(&bucket, "there").await, Err(ObjectError::Unavailable { .. })));
    assert_eq!(count(&server, Operation::Get), 4, "repeating has an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_says_when_to_come_back_is_left_alone_until_then() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    create(&bucket, "there").await;
    let busy = |seconds| Fault::Refused { status: 503, code: "SlowDown", retry_after: Some(seconds) };
    server.fail(Rule::next(busy(1)));
    let started = Instant::now();
    assert_eq!(content_of(&bucket, "there").await.unwrap(), b"first");
    assert!(started.elapsed() >= Duration::from_secs(1));
    server.clear_log();
    server.fail(Rule::next(busy(600)));
    let answer = content_of(&bucket, "there").await;
    assert!(matches!(answer, Err(ObjectError::Unavailable { retry_after_ms: Some(600_000), .. })), "{answer:?}");
    assert_eq!(count(&server, Operation::Get), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_is_continued_where_it_broke_off() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    let written = bytes(3, 3 << 20);
    bucket.put("large", content::in_memory(written.clone()), Condition::Always).await.unwrap();
    server.clear_log();
    server.fail(Rule::next(Fault::Truncated(1 << 20)).on(Operation::Get).times(2));
    assert_eq!(content_of(&bucket, "large").await.unwrap(), written);
    let log = server.log();
    let ranges: Vec<_> = log.iter().map(|logged| logged.header("range").is_some()).collect();
    assert_eq!(ranges, [false, true, true]);
    assert!(log[1..].iter().all(|logged| logged.header("if-match").is_some()), "a continuation may be of other bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_while_it_is_read_is_not_put_together_of_two() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    bucket.put("large", content::in_memory(bytes(3, 3 << 20)), Condition::Always).await.unwrap();
    server.fail(Rule::next(Fault::Truncated(1 << 20)).on(Operation::Get));
    server.fail(Rule::next(refused(412, "PreconditionFailed")).on(Operation::Get));
    let answer = content_of(&bucket, "large").await;
    assert!(answer.is_err(), "{} bytes were read", answer.unwrap().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_and_a_dripping_store_are_given_up() {
    let server = S3Server::start();
    let bucket = open(BucketSettings { no_progress: SHORT, ..settings_of(&server) }).await;
    let first = create(&bucket, "there").await;
    bucket.put("large", content::in_memory(bytes(1, 100_000)), Condition::Always).await.unwrap();
    for fault in [Fault::Late(Duration::from_secs(60)), Fault::Dripping(Duration::from_millis(50))] {
        server.fail(Rule::next(fault.clone()));
        assert_eq!(content_of(&bucket, "large").await.unwrap(), bytes(1, 100_000), "{fault:?}");
    }
    server.fail(Rule::next(Fault::LateReply(Duration::from_secs(60))));
    let answer = bucket.put("there", text("second"), Condition::Matches(first)).await;
    assert!(
        matches!(&answer, Err(ObjectError::Unavailable { reason, .. }) if reason.contains("no progress")),
        "{answer:?}"
    );
    assert_eq!(content_of(&bucket, "there").await.unwrap(), b"second", "it had been applied all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_named_with_bucket_endpoint_and_remedy() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    create(&bucket, "there").await;
    let says = |answer: Result<Vec<u8>, ObjectError>, words: &[&str]| {
        let message = answer.unwrap_err().to_string();
        for word in words.iter().copied().chain([BUCKET, &server.endpoint()]) {
            assert!(message.contains(word), "{word:?} is missing in: {message}");
        }
    };
    for (fault, words) in [
        (refused(403, "AccessDenied"), ["there: access was refused", "permissions"]),
        (refused(403, "RequestTimeTooSkewed"), ["access was refused", "clock"]),
        (refused(400, "ExpiredToken"), ["access was refused", "renew"]),
        (refused(403, "QuotaExceeded"), ["no room left", "QuotaExceeded"]),
        (refused(418, "IAmATeapot"), ["settings", "IAmATeapot"]),
    ] {
        // A wrong clock is corrected by what the store says, and asked with again.
        server.fail(Rule::next(fault).times(10));
        says(content_of(&bucket, "there").await, &words);
        server.heal();
    }
    server.habits(|habits| habits.has_no_bucket = true);
    says(content_of(&bucket, "there").await, &["NoSuchBucket", "create the bucket"]);
    let vanished = bucket.put("there", text("x"), Condition::Absent).await;
    assert!(matches!(vanished, Err(ObjectError::Misconfigured { .. })), "{vanished:?}");
    server.habits(|habits| (habits.has_no_bucket, habits.region) = (false, Some("eu-west-1")));
    says(content_of(&bucket, "there").await, &["signed for us-east-1", "set `region` to eu-west-1"]);
    server.habits(|habits| habits.region = None);
    let stranger = AccessKeys { id: "STRANGER".to_owned(), secret: "secret".to_owned() };
    let stranger = open(BucketSettings { keys: Some(stranger), ..settings_of(&server) }).await;
    says(content_of(&stranger, "there").await, &["InvalidAccessKeyId", "check the credentials"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_at_the_endpoint_is_unavailable() {
    let settings = {
        let server = S3Server::start();
        settings_of(&server)
    };
    let endpoint = settings.endpoint.clone().unwrap();
    let answer = content_of(&open(settings).await, "there").await;
    let Err(ObjectError::Unavailable { reason, .. }) = answer else { panic!("{answer:?}") };
    assert!(reason.contains(&endpoint) && reason.contains("refused"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_etags_is_learnt_once_and_told() {
    let server = S3Server::start();
    server.habits(|habits| habits.compares_unquoted = true);
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = told.clone();
    let learnt = std::sync::Arc::new(move |form| listener.lock().unwrap().push(form));
    let bucket = open(BucketSettings { learnt, ..settings_of(&server) }).await;
    let first = create(&bucket, "head").await;
    let stale = bucket.put("head", text("x"), Condition::Matches("stale".to_owned())).await;
    assert!(matches!(stale, Err(ObjectError::Conflict { .. })), "{stale:?}");
    assert_eq!(bucket.etag_form(), None, "a refusal of a stale ETag shows no form");
    let second = bucket.put("head", text("second"), Condition::Matches(first.clone())).await.unwrap();
    assert_eq!(
        (bucket.etag_form(), told.lock().unwrap().as_slice()),
        (Some(EtagForm::Unquoted), &[EtagForm::Unquoted][..])
    );
    server.clear_log();
    bucket.put("head", text("third"), Condition::Matches(second)).await.unwrap();
    let conflict = bucket.put("head", text("fourth"), Condition::Matches(first)).await;
    assert!(matches!(conflict, Err(ObjectError::Conflict { .. })), "{conflict:?}");
    assert_eq!(server.log().len(), 2, "what is known is not tried out again");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_content_goes_in_parts_and_leaves_none_behind() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    let written = bytes(9, LARGE_BYTES);
    let content = content::in_memory(written.clone());
    server.fail(Rule::next(refused(503, "SlowDown")).on(Operation::Part));
    bucket.put("large", content.clone(), Condition::Always).await.unwrap();
    assert_eq!((count(&server, Operation::Part), count(&server, Operation::Put)), (4, 0));
    assert_eq!(content_of(&bucket, "large").await.unwrap(), written);
    server.fail(Rule::next(refused(403, "AccessDenied")).on(Operation::Part));
    let denied = bucket.put("large", content.clone(), Condition::Always).await;
    assert!(matches!(denied, Err(ObjectError::Denied { .. })), "{denied:?}");
    server.clear_log();
    server.fail(Rule::next(Fault::LostReply).on(Operation::Complete));
    let unknown = bucket.put("new", content, Condition::Always).await;
    assert!(matches!(unknown, Err(ObjectError::Unavailable { .. })), "{unknown:?}");
    assert_eq!(count(&server, Operation::Complete), 1);
    assert_eq!(server.open_uploads(), 0, "parts of failed uploads stayed");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_content_on_a_condition_is_one_request_that_is_made_once() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    let written = bytes(9, LARGE_BYTES);
    let digest = Digest::of(&written).to_string();
    let content = content::in_memory(written.clone());
    let etag = bucket.put("large", content.clone(), Condition::Absent).await.unwrap();
    let log = server.log();
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!((log[0].operation, log[0].bytes_in), (Operation::Put, LARGE_BYTES as u64));
    // The store notices bytes that changed on the way.
    assert_eq!(log[0].header("x-amz-content-sha256"), Some(digest.as_str()));
    assert_eq!(content_of(&bucket, "large").await.unwrap(), written);
    let late = bucket.put("large", content.clone(), Condition::Absent).await;
    assert!(matches!(late, Err(ObjectError::Conflict { .. })), "{late:?}");
    bucket.put("large", content.clone(), Condition::Matches(etag)).await.unwrap();
    for fault in [Fault::LostReply, Fault::LostRequest, refused(503, "SlowDown")] {
        server.clear_log();
        server.fail(Rule::next(fault.clone()).on(Operation::Put));
        let unknown = bucket.put("new", content.clone(), Condition::Absent).await;
        assert!(matches!(unknown, Err(ObjectError::Unavailable { .. })), "{fault:?}: {unknown:?}");
        assert_eq!(server.log().len(), 1, "{fault:?} was repeated");
        bucket.delete(&["new".to_owned()]).await.unwrap();
    }
    server.fail(Rule::next(refused(400, "EntityTooLarge")).on(Operation::Put));
    let too_large = bucket.put("new", content, Condition::Absent).await.unwrap_err();
    assert!(matches!(too_large, ObjectError::Misconfigured { .. }), "{too_large:?}");
    assert!(too_large.to_string().contains("in one request"), "{too_large}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_that_cannot_be_read_is_not_written() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    let written = bytes(9, LARGE_BYTES);
    for condition in [Condition::Always, Condition::Absent] {
        let broken = Arc::new(Broken { bytes: written.clone(), digest: Digest::of(&written) });
        let answer = bucket.put("large", broken, condition.clone()).await;
        assert!(matches!(answer, Err(ObjectError::Unavailable { .. })), "{condition:?}: {answer:?}");
        assert!(server.keys().is_empty(), "{condition:?} wrote half a content");
    }
}

/// A content whose disk fails half-way.
#[derive(Debug)]
struct Broken {
    bytes: Vec<u8>,
    digest: Digest,
}

impl Content for Broken {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<usize> {
        let start = offset as usize;
        if start + buffer.len() > self.bytes.len() / 2 {
            return Err(std::io::Error::other("input/output error"));
        }
        buffer.copy_from_slice(&self.bytes[start..start + buffer.len()]);
        Ok(buffer.len())
    }

    fn known_digest(&self) -> Option<Digest> {
        Some(self.digest)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_does_not_tell_the_etag_of_large_content_is_asked_for_it() {
    let server = S3Server::start();
    server.habits(|habits| habits.completes_without_etag = true);
    let bucket = bucket(&server).await;
    let content = content::in_memory(bytes(9, LARGE_BYTES));
    let etag = bucket.put("large", content, Condition::Always).await.unwrap();
    bucket.put("large", text("small"), Condition::Matches(etag)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn larger_content_is_copied_by_the_store_and_through_here_only_where_it_cannot() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    let copies = [(2 << 20, Operation::Copy, 1), (65 << 20, Operation::PartCopy, 2)];
    for (size, operation, requests) in copies {
        let (written, source) = (bytes(4, size), format!("source-{size}"));
        bucket.put(&source, content::in_memory(written.clone()), Condition::Always).await.unwrap();
        server.clear_log();
        bucket.copy(&source, "copied").await.unwrap();
        assert_eq!(count(&server, operation), requests);
        let moved: u64 = server.log().iter().map(|logged| logged.bytes_in + logged.bytes_out).sum();
        assert!(moved < 10_000, "{moved} bytes went through here for {size}");
        assert!(content_of(&bucket, "copied").await.unwrap() == written, "{size}: not what was copied");
        let again = bucket.copy(&source, "copied").await;
        assert!(matches!(again, Err(ObjectError::Conflict { .. })), "{size}: {again:?}");

        server.fail(Rule::next(refused(501, "NotImplemented")).on(operation).times(requests as u32));
        bucket.copy(&source, "through-here").await.unwrap();
        assert!(content_of(&bucket, "through-here").await.unwrap() == written, "{size}: not what was copied");
        assert_eq!(server.open_uploads(), 0, "parts of a copy that was given up stayed");
        bucket.delete(&["copied", "through-here"].map(str::to_owned)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbouring_parts_are_one_request() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    bucket.put("pack", content::in_memory(bytes(5, 1 << 20)), Condition::Always).await.unwrap();
    server.clear_log();
    let ranges: Vec<Range> = (0..100).map(|number| Range { offset: number * 1_000, length: 1_000 }).collect();
    let parts = bucket.get_ranges("pack", &ranges).await.unwrap();
    assert_eq!(parts.iter().map(read).collect::<Vec<_>>().concat(), bytes(5, 1 << 20)[..100_000]);
    let log = server.log();
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].header("range"), log[0].bytes_out), (Some("bytes=0-99999"), 100_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_batches_is_asked_key_by_key() {
    let server = S3Server::start();
    server.habits(|habits| habits.deletes_singly = true);
    let bucket = bucket(&server).await;
    for key in ["a", "b", "c", "d"] {
        create(&bucket, key).await;
    }
    for pair in [["a", "b"], ["c", "d"]] {
        assert!(bucket.delete(&pair.map(str::to_owned)).await.unwrap().is_empty());
    }
    assert!(server.keys().is_empty());
    assert_eq!((count(&server, Operation::DeleteMany), count(&server, Operation::Delete)), (1, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_carry_no_checksums_that_a_store_may_not_know() {
    let server = S3Server::start();
    let bucket = bucket(&server).await;
    let first = create(&bucket, "a").await;
    bucket.put("a", content::in_memory(bytes(2, 300_000)), Condition::Matches(first)).await.unwrap();
    content_of(&bucket, "a").await.unwrap();
    for logged in server.log() {
        let checksums = logged.headers.iter().filter(|(name, _)| name.contains("checksum") || name == "x-amz-trailer");
        assert_eq!(checksums.count(), 0, "{logged:?}");
        // Signed as a whole: the store notices bytes that changed on the way.
        let digest = logged.header("x-amz-content-sha256").unwrap();
        assert!(logged.bytes_in == 0 || digest.len() == 64, "{logged:?}");
    }
}
