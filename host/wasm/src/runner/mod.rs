//! Execution outside of this process: the host's end.
//!
//! A [`Runner`] stands for a process that a driver starts when it is first needed, and again when it ended. Guests in it
//! have the capabilities they would have here: what they import is asked for over the runner's standard streams and served
//! by the same code, with a `GuestState` of its own for each call, under the same limits and grants. A handle of such a
//! guest is a number in the table of that state, looked up like one of a guest in this process. So whatever a runner says,
//! it can do no more than a guest can; what it says that no guest could say ends its call.
//!
//! Deadlines are kept here. A call that is given up is cancelled in the runner; a runner is killed when nobody refers to
//! it any more.

mod confinement;
mod connection;
mod launch;
mod served;
mod serving;
mod start;

use std::sync::Arc;

use peat_core::ports::ExtensionError;
use tokio::sync::Mutex;
use wasmtime::Store;

use self::connection::Connection;
use self::serving::Ending;
pub(crate) use self::start::RunnerStart;
pub use confinement::Confinement;
pub use launch::{LaunchError, LaunchRequest, LaunchedRunner, Launcher, RunnerProcess};

use crate::bindings::datastore::exports::peat::datastore::capabilities::Features;
use crate::deadline::Patience;
use crate::exports::Export;
use crate::failure::CallName;
use crate::limits::Limits;
use crate::state::GuestState;
use crate::wire::{CallBegin, GuestLimits, decode, encode};

/// A process that runs the guests of one extension.
pub(crate) struct Runner {
    start: RunnerStart,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Runner {
    /// Nothing is started yet.
    pub(crate) fn new(start: RunnerStart) -> Self {
        Self { start, connection: Mutex::new(None) }
    }

    /// The optional interfaces that the component exports.
    pub(crate) async fn exported(&self) -> Result<Features, ExtensionError> {
        let name = CallName { extension: self.start.extension().to_owned(), call: "loading" };
        Ok(self.connected(&name).await?.connection.exported())
    }

    /// The runner, started if it is not there.
    pub(crate) async fn connected(&self, name: &CallName) -> Result<ConnectedRunner<'_>, ExtensionError> {
        let mut connection = self.connection.lock().await;
        if let Some(live) = connection.as_ref().filter(|live| !live.is_gone()) {
            return Ok(ConnectedRunner { runner: self, connection: Arc::clone(live) });
        }
        // What is left of an ended one goes before another is started.
        *connection = None;
        let started = Arc::new(self.start.connect(name).await?);
        *connection = Some(Arc::clone(&started));
        Ok(ConnectedRunner { runner: self, connection: started })
    }

    fn broken(&self, name: &CallName, reason: String) -> ExtensionError {
        name.runner(self.start.driver(), reason)
    }
}

/// A runner that has loaded its component.
pub(crate) struct ConnectedRunner<'a> {
    runner: &'a Runner,
    connection: Arc<Connection>,
}

impl ConnectedRunner<'_> {
    /// Calls a function. Cancel safe: dropped, the call is cancelled in the runner.
    pub(crate) async fn call<E: Export>(
        &self,
        store: &mut Store<GuestState>,
        arguments: impl FnOnce(&mut GuestState) -> wasmtime::Result<E::Parameters>,
        name: &CallName,
        patience: Patience,
    ) -> Result<E::Results, ExtensionError> {
        // What ends a guest of this process ends one elsewhere in the same words.
        let failed = |store: &Store<GuestState>, error: &wasmtime::Error| {
            let state = store.data();
            name.failed(error, &state.accounting, &state.limits, patience.duration())
        };
        let parameters = arguments(store.data_mut()).map_err(|error| failed(store, &error))?;
        let clock = &store.data().services.clock;
        let begin = CallBegin {
            name: E::NAME.to_owned(),
            now_ms: clock.now_ms(),
            elapsed_ms: clock.elapsed_ms(),
            parameters: encode(&parameters),
        };
        let broken = |reason: String| self.runner.broken(name, reason);
        let mut conversation = self.connection.begin(&begin).await.map_err(broken)?;
        let allowed = self.runner.start.allowed();
        let serving = store.run_concurrent(async |host| serving::serve(host, &mut conversation, allowed).await);
        match serving.await.flatten() {
            Ok(Ending::Answered(answered)) => {
                store.data().log.add_dropped(answered.dropped_lines, answered.dropped_bytes);
                let results = answered.results.map_err(|failure| failure.of(name))?;
                decode(&results).map_err(|malformed| broken(format!("the results that it sent are none: {malformed}")))
            }
            Ok(Ending::Violation(reason)) => Err(broken(reason)),
            Ok(Ending::Gone) => Err(broken(self.connection.ending().await)),
            Err(error) => Err(failed(store, &error)),
        }
    }
}

/// What of the limits a runner enforces.
fn guest_limits(limits: &Limits) -> GuestLimits {
    GuestLimits {
        memory_bytes: limits.memory_bytes,
        table_elements: limits.table_elements,
        instances: limits.instances,
        handles: limits.handles,
        host_call_bytes: limits.host_call_bytes,
        log_lines: limits.log_lines,
        log_bytes: limits.log_bytes,
        log_line_bytes: limits.log_line_bytes,
    }
}
