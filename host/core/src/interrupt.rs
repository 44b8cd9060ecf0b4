//! The operator's wish to stop, as a handle that can be shared and waited for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures::channel::oneshot;

/// Triggered once, seen by everybody who holds a clone.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    triggered: AtomicBool,
    waiting: Mutex<Vec<oneshot::Sender<()>>>,
}

impl Interrupt {
    /// Not triggered.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody to stop. Repeating it changes nothing.
    pub fn trigger(&self) {
        self.0.triggered.store(true, Ordering::SeqCst);
        self.0.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    }

    /// Whether it was triggered.
    pub fn is_triggered(&self) -> bool {
        self.0.triggered.load(Ordering::SeqCst)
    }

    /// Returns once it is triggered. Cancel safe.
    pub async fn wait(&self) {
        let receiver = {
            let mut waiting = self.0.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if self.is_triggered() {
                return;
            }
            waiting.retain(|sender| !sender.is_canceled());
            let (sender, receiver) = oneshot::channel();
            waiting.push(sender);
            receiver
        };
        // The sender is dropped, never used: an error is the signal.
        let _ = receiver.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiter_is_woken_whether_it_came_before_or_after() {
        let interrupt = Interrupt::new();
        let early = interrupt.clone();
        let waiter = std::thread::spawn(move || futures::executor::block_on(early.wait()));
        interrupt.trigger();
        waiter.join().unwrap();
        futures::executor::block_on(interrupt.wait());
        assert!(interrupt.is_triggered());
    }
}
