//! Connections, and what each operation does.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::answer::{Answer, AnswerBody};
use super::fault::{Fault, Habits};
use super::objects::now_ms;
use super::operation::Operation;
use super::request::{Request, decoded};
use super::xml::{elements, escaped};
use super::{BUCKET, Logged, State, locked};

/// A connection that is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed by a fault of the test")]
struct Closed;

/// Serves until `stopped`; tells the address once it can be connected to.
pub(super) async fn serve(
    state: Arc<Mutex<State>>,
    tls: Option<TlsAcceptor>,
    stopped: oneshot::Receiver<()>,
    tell: impl FnOnce(SocketAddr),
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    tell(listener.local_addr().expect("it was just bound"));
    let accepting = async {
        loop {
            let Ok((connection, _)) = listener.accept().await else { continue };
            let _ = connection.set_nodelay(true);
            let (state, tls) = (Arc::clone(&state), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => converse(connection, state).await,
                    // Who does not trust the certificate goes away here.
                    Some(tls) => {
                        if let Ok(connection) = tls.accept(connection).await {
                            converse(connection, state).await;
                        }
                    }
                }
            });
        }
    };
    tokio::select! {
        _ = stopped => {}
        () = accepting => {}
    }
}

async fn converse(connection: impl AsyncRead + AsyncWrite + Unpin, state: Arc<Mutex<State>>) {
    let service = service_fn(move |request| answer(request, Arc::clone(&state)));
    // A connection that a fault closed ends with an error, which is what was wanted.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(connection), service).await;
}

async fn answer(
    request: hyper::Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<hyper::Response<AnswerBody>, Closed> {
    // What a client breaks off leaves no trace, as with a real store.
    let request = Request::read(request).await.map_err(|_| Closed)?;
    let received = Instant::now();
    let operation = Operation::of(&request);
    let subject =
        if request.key.is_empty() { request.query("prefix").unwrap_or_default() } else { request.key.clone() };
    let (fault, half_way) = {
        let mut state = locked(&state);
        (state.plan.meet(operation, &subject), state.habits.latency / 2)
    };
    if !half_way.is_zero() {
        tokio::time::sleep(half_way).await;
    }
    if let Some(Fault::Late(pause)) = &fault {
        tokio::time::sleep(*pause).await;
    }
    let (answer, pause) = {
        let mut state = locked(&state);
        let answer = under(&fault, &mut state, operation, &request);
        state.log.push(Logged {
            operation,
            key: subject,
            status: answer.as_ref().map_or(0, |answer| answer.status),
            bytes_in: request.body.len() as u64,
            bytes_out: answer.as_ref().map_or(0, |answer| answer.body.len() as u64),
            headers: request.headers.clone(),
            received,
            carried_out: Instant::now(),
            answered: Instant::now() + half_way,
        });
        let date = header_date(now_ms().saturating_add_signed(state.habits.date_offset_ms));
        let answer = answer.ok_or(Closed)?.with("date", date).with("server", "peat tests");
        (answer, half_way + if let Some(Fault::LateReply(pause)) = fault { pause } else { Duration::ZERO })
    };
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    Ok(answer.send(fault.as_ref()))
}

/// Carries the request out as far as the fault lets it; none when there is no answer.
fn under(fault: &Option<Fault>, state: &mut State, operation: Operation, request: &Request) -> Option<Answer> {
    match fault {
        Some(Fault::LostRequest) => None,
        Some(Fault::LostReply) => {
            carried_out(state, operation, request);
            None
        }
        Some(Fault::Refused { status, code, retry_after }) => {
            let answer = Answer::refusal(*status, code);
            Some(match retry_after {
                Some(seconds) => answer.with("retry-after", seconds.to_string()),
                None => answer,
            })
        }
        Some(Fault::AppliedAndRefused { status, code }) => {
            carried_out(state, operation, request);
            Some(Answer::refusal(*status, code))
        }
        _ => Some(carried_out(state, operation, request)),
    }
}

fn carried_out(state: &mut State, operation: Operation, request: &Request) -> Answer {
    let habits = state.habits.clone();
    if let Err((status, code)) = request.check(&habits) {
        let answer = Answer::refusal(status, code);
        return match habits.region {
            Some(region) => answer.with("x-amz-bucket-region", region),
            None => answer,
        };
    }
    let done = match operation {
        Operation::Get => get(state, request),
        Operation::Put => put(state, &habits, request),
        Operation::Copy => copy(state, request),
        Operation::List => Ok(list(state, request)),
        Operation::Delete => {
            state.bucket.delete(&request.key);
            Ok(Answer::new(204))
        }
        Operation::DeleteMany if habits.deletes_singly => Err((501, "NotImplemented")),
        Operation::DeleteMany => Ok(delete_many(state, request)),
        Operation::Begin => Ok(begin(state, request)),
        Operation::Part => part(state, request),
        Operation::PartCopy => part_copy(state, request),
        Operation::Complete => complete(state, &habits, request),
        Operation::Abort => match state.bucket.uploads.end(&request.query("uploadId").unwrap_or_default()) {
            true => Ok(Answer::new(204)),
            false => Err((404, "NoSuchUpload")),
        },
        Operation::Other => Err((501, "NotImplemented")),
    };
    done.unwrap_or_else(|(status, code)| Answer::refusal(status, code))
}

type Done = Result<Answer, (u16, &'static str)>;

fn get(state: &State, request: &Request) -> Done {
    let object = state.bucket.get(&request.key).ok_or((404, "NoSuchKey"))?;
    let unquoted = |name| request.header(name).map(|etag: &str| etag.trim_matches('"'));
    let described = |answer: Answer| {
        answer.with("etag", format!("\"{}\"", object.etag)).with("last-modified", header_date(object.modified_ms))
    };
    if unquoted("if-none-match") == Some(object.etag.as_str()) {
        return Ok(described(Answer::new(304)));
    }
    if unquoted("if-match").is_some_and(|etag| etag != object.etag) {
        return Err((412, "PreconditionFailed"));
    }
    let size = object.bytes.len();
    let Some((first, last)) = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return Ok(described(Answer { body: object.bytes.clone(), ..Answer::new(200) }));
    };
    let first: usize = first.parse().map_err(|_| (400, "InvalidArgument"))?;
    let last = last.parse().unwrap_or(usize::MAX).min(size.saturating_sub(1));
    if first >= size {
        return Err((416, "InvalidRange"));
    }
    let part = Answer { body: object.bytes.slice(first..=last), ..Answer::new(206) };
    Ok(described(part).with("content-range", format!("bytes {first}-{last}/{size}")))
}

/// Whether the conditions of a write hold, as this store takes them.
fn check_conditions(state: &State, habits: &Habits, request: &Request) -> Result<(), (u16, &'static str)> {
    let if_match = request.header("if-match").filter(|_| !habits.ignores_if_match);
    let if_match = if_match.map(|etag| if habits.compares_unquoted { etag } else { etag.trim_matches('"') });
    let if_none_match = request.header("if-none-match").is_some() && !habits.ignores_if_none_match;
    let status = |code| (if code == "NoSuchKey" { 404 } else { 412 }, code);
    state.bucket.check(&request.key, if_match, if_none_match).map_err(status)
}

fn put(state: &mut State, habits: &Habits, request: &Request) -> Done {
    check_conditions(state, habits, request)?;
    let etag = state.bucket.put(&request.key, request.body.clone());
    let answer = Answer::new(200).with("etag", format!("\"{etag}\""));
    Ok(if habits.keeps_versions { answer.with("x-amz-version-id", format!("v-{etag}")) } else { answer })
}

/// As S3 does it: looks at no condition on the target.
fn copy(state: &mut State, request: &Request) -> Done {
    let bytes = source(state, request)?;
    let etag = state.bucket.put(&request.key, bytes);
    Ok(copied("CopyObjectResult", &etag))
}

fn part_copy(state: &mut State, request: &Request) -> Done {
    let bytes = source(state, request)?;
    let range =
        request.header("x-amz-copy-source-range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let (first, last) = range.ok_or((400, "InvalidArgument"))?;
    let number = |text: &str| text.parse::<usize>().map_err(|_| (400, "InvalidArgument"));
    let (first, last) = (number(first)?, number(last)?);
    if first > last || last >= bytes.len() {
        return Err((416, "InvalidRange"));
    }
    let etag = kept_part(state, request, bytes.slice(first..=last))?;
    Ok(copied("CopyPartResult", &etag))
}

/// The bytes of the object that a copy names.
fn source(state: &State, request: &Request) -> Result<Bytes, (u16, &'static str)> {
    let source = decoded(request.header("x-amz-copy-source").unwrap_or_default());
    let key = source.trim_start_matches('/').strip_prefix(BUCKET).and_then(|rest| rest.strip_prefix('/'));
    Ok(key.and_then(|key| state.bucket.get(key)).ok_or((404, "NoSuchKey"))?.bytes.clone())
}

fn copied(element: &str, etag: &str) -> Answer {
    let modified = listed_date(now_ms());
    let result = format!("<ETag>&quot;{etag}&quot;</ETag><LastModified>{modified}</LastModified>");
    Answer::xml(200, format!("<{element}>{result}</{element}>"))
}

fn list(state: &State, request: &Request) -> Answer {
    let prefix = request.query("prefix").unwrap_or_default();
    let at_most = request.query("max-keys").and_then(|number| number.parse().ok()).unwrap_or(1_000).min(1_000);
    let after = request.query("start-after").unwrap_or_default();
    let page = state.bucket.list(&prefix, request.query("delimiter").is_some(), &after, at_most);
    let mut document = format!("<ListBucketResult><Name>{BUCKET}</Name><Prefix>{}</Prefix>", escaped(&prefix));
    document += &format!("<IsTruncated>{}</IsTruncated>", page.more);
    for (key, object) in &page.objects {
        document += &format!(
            "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
            escaped(key),
            listed_date(object.modified_ms),
            object.etag,
            object.bytes.len()
        );
    }
    for folded in &page.folded {
        document += &format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(folded));
    }
    Answer::xml(200, document + "</ListBucketResult>")
}

fn delete_many(state: &mut State, request: &Request) -> Answer {
    for key in elements(&String::from_utf8_lossy(&request.body), "Key") {
        state.bucket.delete(&key);
    }
    Answer::xml(200, "<DeleteResult></DeleteResult>".to_owned())
}

fn begin(state: &mut State, request: &Request) -> Answer {
    let id = state.bucket.uploads.begin();
    let key = escaped(&request.key);
    let names = format!("<Bucket>{BUCKET}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>");
    Answer::xml(200, format!("<InitiateMultipartUploadResult>{names}</InitiateMultipartUploadResult>"))
}

fn part(state: &mut State, request: &Request) -> Done {
    let etag = kept_part(state, request, request.body.clone())?;
    Ok(Answer::new(200).with("etag", format!("\"{etag}\"")))
}

fn kept_part(state: &mut State, request: &Request, bytes: Bytes) -> Result<String, (u16, &'static str)> {
    let number = request.query("partNumber").and_then(|number| number.parse().ok()).ok_or((400, "InvalidArgument"))?;
    let id = request.query("uploadId").unwrap_or_default();
    state.bucket.uploads.part(&id, number, bytes).map_err(|code| (404, code))
}

/// Looks at no condition, as Ceph 16.
fn complete(state: &mut State, habits: &Habits, request: &Request) -> Done {
    let id = request.query("uploadId").unwrap_or_default();
    let document = String::from_utf8_lossy(&request.body);
    let numbers = elements(&document, "PartNumber").into_iter().map(|number| number.parse().unwrap_or(0));
    let etags = elements(&document, "ETag").into_iter().map(|etag| etag.trim_matches('"').to_owned());
    let parts: Vec<(u32, String)> = numbers.zip(etags).collect();
    let refused = |code| (if code == "NoSuchUpload" { 404 } else { 400 }, code);
    let (bytes, etag) = state.bucket.uploads.joined(&id, &parts).map_err(refused)?;
    state.bucket.uploads.end(&id);
    let etag = state.bucket.put_with_etag(&request.key, bytes, etag);
    let etag = if habits.completes_without_etag { String::new() } else { format!("&quot;{etag}&quot;") };
    let names = format!("<Bucket>{BUCKET}</Bucket><Key>{}</Key><ETag>{etag}</ETag>", escaped(&request.key));
    Ok(Answer::xml(200, format!("<CompleteMultipartUploadResult>{names}</CompleteMultipartUploadResult>")))
}

/// As headers write it.
fn header_date(ms: u64) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(ms))
}

/// As listings write it.
fn listed_date(ms: u64) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}
