//! Between a process and the store: delays, losses, repetitions, refusals, damaged answers. A request that is on its way
//! does not know whether its sender lives.

use std::sync::Arc;

use futures::channel::oneshot;
use peat_chain::{Error, ErrorKind};

use super::Simulation;
use super::bucket::{Operation, Reply};
use super::host::Host;
use super::scheduler::Process;

/// What the sender gets to see.
pub(super) type Answer = Result<Reply, Error>;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Normal,
    Lost,
    ReplyLost,
    Late,
    RepeatedLate,
    Repeated,
    ResetBefore,
    ResetAfter,
    Conflict,
    Throttled,
    Internal,
    Slow,
    Truncated,
    Garbled,
    StaleListing,
}

/// Longest time that a throttled client is asked to stay away, milliseconds.
const RETRY_AFTER_MS_MAX: u64 = 2_000;

/// Sends a request and waits for the answer. Dropped, the request goes on by itself.
pub(super) async fn request(
    simulation: &Arc<Simulation>,
    host: &Host,
    process: Process,
    operation: Operation,
) -> Answer {
    let subject = operation.subject();
    let receiver = send(simulation, host, process, operation);
    receiver.await.unwrap_or_else(|_| Err(unavailable(&subject, "the schedule ended", None)))
}

fn send(
    simulation: &Arc<Simulation>,
    host: &Host,
    process: Process,
    operation: Operation,
) -> oneshot::Receiver<Answer> {
    let (scheduler, scenario) = (&simulation.scheduler, &simulation.scenario);
    simulation.count(|counts| counts.requests += 1);
    let (sender, receiver) = oneshot::channel();
    let upload_ms = if operation.sends_content() && !simulation.is_calm() { scenario.upload_ms } else { 0 };
    let way_ms = 1 + scheduler.below(scenario.latency_ms / 2 + 1) + upload_ms;
    let back_ms = 1 + scheduler.below(scenario.latency_ms / 2 + 1);
    if let Some(error) = refusal(simulation, host, &operation) {
        simulation.note(|| format!("p{process} {operation} is refused: {error}"));
        answer_later(simulation, way_ms + back_ms, sender, Err(error));
        return receiver;
    }
    let fate = draw(simulation, &operation);
    simulation.note(|| format!("p{process} {operation} ({fate:?})"));
    simulation.count(|counts| counts.faults += u64::from(fate != Fate::Normal));
    let subject = operation.subject();
    let timed_out = || Err(unavailable(&subject, "no answer in time", None));
    let timeout_ms = scenario.timeout_ms;
    let perform = {
        let simulation = Arc::clone(simulation);
        move || perform(&simulation, process, &operation, fate)
    };
    match fate {
        Fate::Lost => answer_later(simulation, timeout_ms, sender, timed_out()),
        Fate::ReplyLost => {
            scheduler.later(way_ms, move || drop(perform()));
            answer_later(simulation, timeout_ms, sender, timed_out());
        }
        Fate::Late => {
            let late_ms = timeout_ms + scheduler.below(3 * scenario.ttl_ms);
            scheduler.later(late_ms, move || drop(perform()));
            answer_later(simulation, timeout_ms, sender, timed_out());
        }
        Fate::ResetBefore => {
            answer_later(simulation, way_ms, sender, Err(unavailable(&subject, "connection reset", None)));
        }
        Fate::ResetAfter => {
            scheduler.later(way_ms, move || drop(perform()));
            let reset = Err(unavailable(&subject, "connection reset", None));
            answer_later(simulation, way_ms + back_ms, sender, reset);
        }
        Fate::Conflict => answer_later(simulation, way_ms + back_ms, sender, Err(conflict(&subject))),
        Fate::Throttled => {
            let after_ms = Some(scheduler.below(RETRY_AFTER_MS_MAX)).filter(|_| scheduler.below(2) == 0);
            let throttled = Err(unavailable(&subject, "429", after_ms));
            answer_later(simulation, way_ms + back_ms, sender, throttled);
        }
        Fate::Internal => {
            if scheduler.below(2) == 0 {
                scheduler.later(way_ms, move || drop(perform()));
            }
            answer_later(simulation, way_ms + back_ms, sender, Err(unavailable(&subject, "500", None)));
        }
        Fate::RepeatedLate => {
            let late_ms = way_ms + 1 + scheduler.below(3 * scenario.ttl_ms);
            let again = perform.clone();
            scheduler.later(late_ms, move || drop(again()));
            perform_and_answer(simulation, way_ms, back_ms, sender, perform);
        }
        Fate::Slow => {
            let slow_ms = scheduler.below(2 * scenario.ttl_ms);
            perform_and_answer(simulation, way_ms, slow_ms, sender, perform);
        }
        _ => perform_and_answer(simulation, way_ms, back_ms, sender, perform),
    }
    receiver
}

fn perform_and_answer(
    simulation: &Arc<Simulation>,
    way_ms: u64,
    back_ms: u64,
    sender: oneshot::Sender<Answer>,
    perform: impl FnOnce() -> Answer + Send + 'static,
) {
    let again = Arc::clone(simulation);
    simulation.scheduler.later(way_ms, move || {
        let answer = perform();
        answer_later(&again, back_ms, sender, answer);
    });
}

fn answer_later(simulation: &Simulation, delay_ms: u64, sender: oneshot::Sender<Answer>, answer: Answer) {
    // The sender of the request may be dead.
    simulation.scheduler.later(delay_ms, move || drop(sender.send(answer)));
}

/// The request reaches the store.
fn perform(simulation: &Simulation, process: Process, operation: &Operation, fate: Fate) -> Answer {
    let mut changes = Vec::new();
    let reply = {
        let mut bucket = simulation.bucket();
        let now_ms = simulation.scheduler.now_ms();
        let stale = fate == Fate::StaleListing;
        let mut reply = bucket.perform(process, operation, now_ms, stale, &mut changes);
        if fate == Fate::Repeated {
            reply = bucket.perform(process, operation, now_ms, stale, &mut changes);
        }
        reply
    };
    simulation.note(|| format!("    p{process} {operation} is done: {}", reply.summary()));
    simulation.observe(&changes);
    let subject = operation.subject();
    match reply {
        Reply::NotFound => Err(Error::new(ErrorKind::NotFound, &subject, format!("there is no object {subject}"))),
        Reply::Conflict => Err(conflict(&subject)),
        Reply::BadRange => Err(Error::new(ErrorKind::Corrupt, &subject, format!("object {subject} is too short"))),
        reply => Ok(damaged(simulation, reply, fate)),
    }
}

/// What the state of the world refuses at once.
fn refusal(simulation: &Simulation, host: &Host, operation: &Operation) -> Option<Error> {
    let now_ms = simulation.scheduler.now_ms();
    let subject = operation.subject();
    let weather = simulation.weather();
    if weather.outage_until_ms > now_ms {
        Some(unavailable(&subject, "connection refused", None))
    } else if weather.vanished_until_ms > now_ms {
        Some(Error::new(ErrorKind::NotFound, &subject, "the bucket does not exist"))
    } else if host.is_denied(now_ms) {
        Some(Error::new(ErrorKind::Denied, &subject, "the credentials have expired"))
    } else {
        None
    }
}

fn draw(simulation: &Simulation, operation: &Operation) -> Fate {
    if simulation.is_calm() {
        return Fate::Normal;
    }
    let faults = &simulation.scenario.requests;
    let is_read = matches!(operation, Operation::Get { .. } | Operation::GetRanges { .. });
    let only = |applies: bool, share: u64| if applies { share } else { 0 };
    let choices = [
        (faults.lost, Fate::Lost),
        (faults.reply_lost, Fate::ReplyLost),
        (faults.late, Fate::Late),
        (faults.repeated_late, Fate::RepeatedLate),
        (faults.repeated, Fate::Repeated),
        (faults.reset_before, Fate::ResetBefore),
        (faults.reset_after, Fate::ResetAfter),
        (only(operation.is_conditional_write(), faults.conflict), Fate::Conflict),
        (faults.throttled, Fate::Throttled),
        (faults.internal, Fate::Internal),
        (faults.slow, Fate::Slow),
        (only(is_read, faults.truncated), Fate::Truncated),
        (only(is_read && !operation.subject().contains("/_index/"), faults.garbled), Fate::Garbled),
        (only(matches!(operation, Operation::List { .. }), faults.stale_listing), Fate::StaleListing),
    ];
    let mut drawn = simulation.scheduler.below(1_000_000);
    for (share, fate) in choices {
        if drawn < share {
            return fate;
        }
        drawn -= share;
    }
    Fate::Normal
}

/// What arrives of a read.
fn damaged(simulation: &Simulation, reply: Reply, fate: Fate) -> Reply {
    let harm = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let place = simulation.scheduler.below(bytes.len().max(1) as u64) as usize;
        match (fate, bytes.get_mut(place)) {
            (Fate::Truncated, _) => bytes.truncate(place),
            (Fate::Garbled, Some(byte)) => *byte ^= 1 << simulation.scheduler.below(8),
            _ => {}
        }
        bytes
    };
    if !matches!(fate, Fate::Truncated | Fate::Garbled) {
        return reply;
    }
    match reply {
        Reply::Object(listed, bytes, now_ms) => Reply::Object(listed, Arc::new(harm(&bytes)), now_ms),
        Reply::Parts(parts) => Reply::Parts(parts.iter().map(|part| harm(part)).collect()),
        reply => reply,
    }
}

impl Operation {
    /// The key or prefix it is about.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Get { key, .. } | Self::GetRanges { key, .. } | Self::Put { key, .. } | Self::Copy { key, .. } => {
                key.clone()
            }
            Self::List { prefix, .. } => prefix.clone(),
            Self::Delete { keys } => keys.first().cloned().unwrap_or_default(),
        }
    }

    fn sends_content(&self) -> bool {
        matches!(self, Self::Put { key, .. } if key.contains("/_packs/") || key.contains("/_objects/"))
    }

    fn is_conditional_write(&self) -> bool {
        matches!(self, Self::Put { condition, .. } if *condition != super::bucket::Condition::Always)
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Get { key, unless } => write!(formatter, "GET {key} unless {unless:?}"),
            Self::GetRanges { key, ranges } => write!(formatter, "GET {key} {ranges:?}"),
            Self::Put { key, condition, bytes } => {
                write!(formatter, "PUT {key} {condition:?}")?;
                if key.contains("/_index/") { write!(formatter, " {}", brief(bytes)) } else { Ok(()) }
            }
            Self::Copy { source, key } => write!(formatter, "COPY {source} to {key}"),
            Self::List { prefix, .. } => write!(formatter, "LIST {prefix}"),
            Self::Delete { keys } => write!(formatter, "DELETE {}", keys.join(" ")),
        }
    }
}

impl Reply {
    fn summary(&self) -> String {
        match self {
            Self::Object(listed, ..) => format!("object {}", listed.etag),
            Self::Written(etag) => format!("written {etag}"),
            Self::Parts(parts) => format!("{} parts", parts.len()),
            Self::Listing(page, ..) => {
                page.iter().map(|listed| format!("{}={}", listed.key, listed.etag)).collect::<Vec<_>>().join(" ")
            }
            other => format!("{other:?}"),
        }
    }
}

/// What a trace shows of a head.
fn brief(bytes: &[u8]) -> String {
    let head: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
    format!(
        "epoch {} sequence {} lease of {} next {}",
        head["epoch"], head["sequence"], head["lease"]["holder"]["processStart"], head["next"]["ticket"]
    )
}

fn unavailable(subject: &str, why: &str, retry_after_ms: Option<u64>) -> Error {
    Error::new(ErrorKind::Unavailable(retry_after_ms), subject, format!("{subject}: {why}"))
}

fn conflict(subject: &str) -> Error {
    Error::new(ErrorKind::Conflict, subject, format!("object {subject} was changed by somebody else"))
}
