//! An S3 server on loopback: real sockets, objects in memory, conditions that hold, and faults when a test asks for them.
//!
//! It has a thread and a runtime of its own, so that real processes can use it as well as tests of one process, and it goes
//! with its handle. It speaks what Peat uses of S3, path-style; it checks who asks and for which region, and of a signature
//! that it is there. Deliberately absent: versions, access rules, everything else.

mod answer;
mod fault;
mod multipart;
mod objects;
mod operation;
mod request;
mod serve;
mod tls;
mod xml;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use fault::Plan;
use objects::Bucket;

pub use fault::{Fault, Habits, Rule};
pub use operation::Operation;
pub use tls::AUTHORITY;

/// The bucket that is there.
pub const BUCKET: &str = "peat-test";

/// Who may use it.
pub const ACCESS_KEY: &str = "PEATTESTACCESSKEY";

/// What they sign with.
pub const SECRET_KEY: &str = "peat-test-secret";

/// Where it claims to be.
pub const REGION: &str = "us-east-1";

/// A running server.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What a request left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// What it was.
    pub operation: Operation,
    /// Its key or prefix.
    pub key: String,
    /// What was answered; 0 when nothing was.
    pub status: u16,
    /// Bytes of its body.
    pub bytes_in: u64,
    /// Bytes of the answer's.
    pub bytes_out: u64,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// When it had arrived, without the latency of its way.
    pub received: Instant,
    /// When it took effect.
    pub carried_out: Instant,
    /// When its answer leaves the latency behind.
    pub answered: Instant,
}

impl Logged {
    /// A header of the request.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Everything the server has.
#[derive(Debug, Default)]
struct State {
    bucket: Bucket,
    plan: Plan,
    habits: Habits,
    log: Vec<Logged>,
}

impl S3Server {
    /// Starts one with an empty bucket, on a port of its own.
    pub fn start() -> Self {
        Self::start_speaking("http")
    }

    /// The same over TLS, with a certificate of [`AUTHORITY`].
    pub fn start_with_tls() -> Self {
        Self::start_speaking("https")
    }

    fn start_speaking(scheme: &'static str) -> Self {
        let tls = (scheme == "https").then(tls::acceptor);
        let state = Arc::new(Mutex::new(State::default()));
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::Builder::new().name("s3".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve::serve(shared, tls, stopped, |address| tell.send(address).unwrap()));
        });
        let thread = thread.unwrap();
        let address = told.recv().expect("the server binds a port of loopback");
        Self { address, scheme, state, stop: Some(stop), thread: Some(thread) }
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Where it listens, as a client's own proxy would be named.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The variables of a process that may use it.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
        ]
    }

    /// Makes requests that fit `rule` go wrong.
    pub fn fail(&self, rule: Rule) {
        self.state().plan.add(rule);
    }

    /// Forgets every fault that is still planned.
    pub fn heal(&self) {
        self.state().plan = Plan::default();
    }

    /// Changes how it behaves from now on.
    pub fn habits(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut self.state().habits);
    }

    /// Listings show what is there now, whatever happens, until [`thaw_listings`](Self::thaw_listings).
    pub fn freeze_listings(&self) {
        self.state().bucket.freeze();
    }

    /// Listings show what is there.
    pub fn thaw_listings(&self) {
        self.state().bucket.thaw();
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Logged> {
        self.state().log.clone()
    }

    /// Puts an object there without a request.
    pub fn insert(&self, key: &str, bytes: impl Into<Bytes>) {
        self.state().bucket.put(key, bytes.into());
    }

    /// Forgets the requests so far.
    pub fn clear_log(&self) {
        self.state().log.clear();
    }

    /// Keys that are there, sorted.
    pub fn keys(&self) -> Vec<String> {
        self.state().bucket.keys()
    }

    /// Uploads that were begun and neither completed nor given up.
    pub fn open_uploads(&self) -> usize {
        self.state().bucket.open_uploads()
    }

    /// Changes the bytes of an object in place, as a failing disk would: its ETag stays.
    pub fn damage(&self, key: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.state().bucket.damage(key, change);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
