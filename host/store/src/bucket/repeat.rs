//! Trying again: requests that do the same however often they are made. A conditional write is not among them; what became
//! of an unanswered one is found out by whoever made it.

use std::time::Duration;

use peat_core::ports::ObjectError;

use super::Inner;
use super::failure::Refusal;
use crate::random;

/// Times a request is made. Callers that know what it is for go on after that, or tell their user.
pub(super) const ATTEMPTS_MAX: u32 = 4;

/// First pause; doubles each time.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// Longest pause that is made here, also when the store asks for more: then the caller is told.
const PAUSE_LONGEST: Duration = Duration::from_secs(10);

impl Inner {
    /// Makes `attempt` until it passes, fails for good, or has failed often enough.
    pub(super) async fn repeated<T, F>(&self, key: &str, attempt: impl Fn() -> F) -> Result<T, ObjectError>
    where
        F: Future<Output = Result<T, Refusal>>,
    {
        let mut number = 1;
        loop {
            let refusal = match attempt().await {
                Ok(done) => return Ok(done),
                Err(refusal) => refusal,
            };
            let pause = pause(number, refusal.retry_after_ms());
            match pause.filter(|_| number < ATTEMPTS_MAX && refusal.may_pass()) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(refusal.into_error(&self.place, key)),
            }
            number += 1;
        }
    }
}

/// How long to wait after this failed attempt (counted from 1); none when the store wants to be left alone for longer than
/// is waited here.
pub(super) fn pause(attempt: u32, retry_after_ms: Option<u64>) -> Option<Duration> {
    let doubled = PAUSE_FIRST.saturating_mul(1 << (attempt - 1).min(10)).min(PAUSE_LONGEST);
    // Between half and the whole of it, so that clients which failed together do not come back together.
    let [byte] = random::bytes::<1>();
    let jittered = doubled.mul_f64(0.5 + f64::from(byte) / 510.0);
    match retry_after_ms.map(Duration::from_millis) {
        Some(asked) if asked > PAUSE_LONGEST => None,
        Some(asked) => Some(asked + jittered),
        None => Some(jittered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_vary_and_follow_the_store() {
        for attempt in 1..=20 {
            let whole = PAUSE_FIRST.saturating_mul(1 << (attempt - 1).min(10)).min(PAUSE_LONGEST);
            let pause = pause(attempt, None).unwrap();
            assert!(pause >= whole / 2 && pause <= whole + Duration::from_millis(1), "{attempt}: {pause:?}");
        }
        assert!(pause(1, Some(3_000)).unwrap() >= Duration::from_secs(3));
        assert_eq!(pause(1, Some(60_000)), None);
        let different: std::collections::BTreeSet<_> = (0..50).map(|_| pause(5, None)).collect();
        assert!(different.len() > 5, "pauses do not vary");
    }
}
