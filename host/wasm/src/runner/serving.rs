//! Serves what the guest of one call imports, until the call ends.

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use wasmtime::component::Accessor;

use super::connection::{Answers, Conversation, Inbound};
use super::served::{Allowed, Served, serve_import, serve_tell};
use crate::state::{Capabilities, GuestState};
use crate::wire::{Answered, Frame, Kind, decode};

/// Imports of one call that are served at once; more wait. What each may answer is bounded, so this bounds the memory.
const SERVED_AT_ONCE_MAX: usize = 64;

/// How serving ended.
pub(super) enum Ending {
    /// The call did.
    Answered(Answered),
    /// The runner said what none may say.
    Violation(String),
    /// The runner is gone.
    Gone,
}

/// Serves a call to its end. The error is one that would have ended a guest in this process: a limit, an unknown handle.
pub(super) async fn serve(
    accessor: &Accessor<GuestState>,
    conversation: &mut Conversation,
    allowed: &Allowed,
) -> wasmtime::Result<Ending> {
    let host = accessor.with_getter::<Capabilities>(|state| state);
    let answers = conversation.answers();
    let mut under_way = FuturesUnordered::new();
    loop {
        let inbound = tokio::select! {
            biased;
            Some(served) = under_way.next(), if !under_way.is_empty() => match served? {
                None => continue,
                Some(violation) => return Ok(Ending::Violation(violation)),
            },
            inbound = conversation.next(), if under_way.len() < SERVED_AT_ONCE_MAX => inbound,
        };
        let Some(inbound) = inbound else { return Ok(Ending::Gone) };
        match inbound.frame.kind {
            Kind::Import => under_way.push(answer(&host, &answers, inbound, allowed)),
            Kind::Tell => {
                if let Served::Violation(reason) = serve_tell(&host, &inbound.frame.body, allowed)? {
                    return Ok(Ending::Violation(reason));
                }
            }
            Kind::Ended => {
                return Ok(match decode(&inbound.frame.body) {
                    Ok(answered) => Ending::Answered(answered),
                    Err(malformed) => Ending::Violation(format!("the end that it sent is none: {malformed}")),
                });
            }
            other => return Ok(Ending::Violation(format!("it sent {other:?}, which is not its to send"))),
        }
    }
}

/// Serves one import and sends the answer. Some: what the runner did that none may do.
async fn answer(
    host: &Accessor<GuestState, Capabilities>,
    answers: &Answers,
    inbound: Inbound,
    allowed: &Allowed,
) -> wasmtime::Result<Option<String>> {
    let Frame { number, body, .. } = &inbound.frame;
    match serve_import(host, body, allowed).await? {
        Served::Answer(bytes) => {
            answers.send(*number, bytes).await;
            Ok(None)
        }
        Served::Violation(reason) => Ok(Some(reason)),
    }
}
