//! The calls under way in a runner: each is a task with a store of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use peat_core::ports::ExtensionError;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use wasmtime::component::{InstancePre, ResourceTable};
use wasmtime::{Store, UpdateDeadline};

use super::clock::{HostTime, SystemRandom};
use super::link::{CallLink, Link};
use super::state::RunnerState;
use crate::capabilities::log::GuestLog;
use crate::capabilities::wasi;
use crate::epoch::EpochThread;
use crate::exports::{Export, Visit, visit};
use crate::failure::CallName;
use crate::limits::{Accounting, Limits};
use crate::wire::{Answered, CallBegin, Frame, GuestFailure, Hello, Import, decode, encode};

/// What calls need, and those under way.
pub(super) struct Calls {
    epoch: EpochThread,
    component: InstancePre<RunnerState>,
    hello: Arc<Hello>,
    limits: Limits,
    under_way: Arc<Mutex<HashMap<u32, AbortHandle>>>,
}

impl Calls {
    pub(super) fn new(epoch: EpochThread, component: InstancePre<RunnerState>, hello: Hello) -> Self {
        let given = &hello.limits;
        let limits = Limits {
            memory_bytes: given.memory_bytes,
            table_elements: given.table_elements,
            instances: given.instances,
            handles: given.handles,
            host_call_bytes: given.host_call_bytes,
            log_lines: given.log_lines,
            log_bytes: given.log_bytes,
            log_line_bytes: given.log_line_bytes,
            ..Limits::default()
        };
        Self { epoch, component, hello: Arc::new(hello), limits, under_way: Arc::default() }
    }

    /// Begins a call; its end is told to the host.
    pub(super) fn begin(&self, frame: Frame, link: &Arc<Link>, runtime: &Handle) {
        let host = link.of_call(frame.call);
        let log = self.log(&host);
        let work = Work {
            epoch: self.epoch.clone(),
            component: self.component.clone(),
            hello: Arc::clone(&self.hello),
            limits: self.limits.clone(),
            host: host.clone(),
            log: Arc::clone(&log),
        };
        let (call, under_way) = (frame.call, Arc::clone(&self.under_way));
        let mut calls = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let task = runtime.spawn(async move {
            let results = work.run(&frame.body).await;
            under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
            let (dropped_lines, dropped_bytes) = log.dropped();
            host.ended(&Answered { results, dropped_lines, dropped_bytes });
        });
        calls.insert(call, task.abort_handle());
    }

    /// Ends a call that nobody waits for any more, at its next yield.
    pub(super) fn cancel(&self, call: u32, link: &Link) {
        let task = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
        if let Some(task) = task {
            task.abort();
        }
        link.forget(call);
    }

    /// Bounded here as in the host, so that a flood stays here.
    fn log(&self, host: &CallLink) -> Arc<GuestLog> {
        let host = host.clone();
        let sink = move |source: &str, text: &str| match crate::capabilities::log::level_of(source) {
            Some(level) => host.tell(Import::LogWrite, (level, text.to_owned())),
            None => host.tell(Import::LogLine, (source.to_owned(), text.to_owned())),
        };
        GuestLog::new(&self.limits, Box::new(sink))
    }
}

/// One call.
struct Work {
    epoch: EpochThread,
    component: InstancePre<RunnerState>,
    hello: Arc<Hello>,
    limits: Limits,
    host: CallLink,
    log: Arc<GuestLog>,
}

struct Begin<'a> {
    work: Work,
    begin: &'a CallBegin,
}

impl<'a> Visit for Begin<'a> {
    type Output = std::pin::Pin<Box<dyn Future<Output = Result<Vec<u8>, GuestFailure>> + Send + 'a>>;

    fn visit<E: Export>(self) -> Self::Output {
        Box::pin(self.work.call::<E>(self.begin))
    }
}

impl Work {
    async fn run(self, body: &[u8]) -> Result<Vec<u8>, GuestFailure> {
        let begin: CallBegin = decode(body).map_err(|malformed| GuestFailure::Malformed(malformed.to_string()))?;
        match visit(&begin.name, Begin { work: self, begin: &begin }) {
            Some(called) => called.await,
            None => Err(GuestFailure::Unusable(format!("this runner knows no function {}", begin.name))),
        }
    }

    async fn call<E: Export>(self, begin: &CallBegin) -> Result<Vec<u8>, GuestFailure> {
        let name = CallName { extension: self.hello.extension.clone(), call: E::NAME };
        let parameters: E::Parameters =
            decode(&begin.parameters).map_err(|malformed| GuestFailure::Malformed(malformed.to_string()))?;
        let limits = self.limits.clone();
        let (component, epoch) = (self.component.clone(), self.epoch.clone());
        let mut store = self.store(begin).map_err(|error| GuestFailure::Host(format!("{error:#}")))?;
        let called = async {
            let instance = component.instantiate_async(&mut store).await?;
            let function = E::find(&mut store, &instance)?;
            function.call_async(&mut store, parameters).await
        };
        match epoch.while_polled(called).await {
            Ok(results) => Ok(encode(&results)),
            Err(error) => {
                let failed: ExtensionError = name.failed(&error, &store.data().accounting, &limits, Duration::ZERO);
                Err(failed.into())
            }
        }
    }

    fn store(self, begin: &CallBegin) -> wasmtime::Result<Store<RunnerState>> {
        let clock = Arc::new(HostTime { now_ms: begin.now_ms, elapsed_ms: begin.elapsed_ms, since: Instant::now() });
        let directories = self.hello.directories.iter().map(|(name, path)| (name.as_str(), path.as_ref()));
        let wasi = wasi::context(clock.clone(), directories, &self.log)?;
        let mut table = ResourceTable::new();
        table.set_max_capacity(self.limits.handles as usize);
        let state = RunnerState {
            host: self.host,
            accounting: Accounting::new(&self.limits),
            log: self.log,
            clock,
            random: Arc::new(SystemRandom),
            progress_at_ms: None,
            table,
            wasi,
        };
        let mut store = Store::new(self.component.engine(), state);
        store.limiter(|state| &mut state.accounting);
        store.set_hostcall_fuel(usize::try_from(self.limits.host_call_bytes).unwrap_or(usize::MAX));
        store.set_max_component_handles(self.limits.handles as usize);
        store.set_epoch_deadline(1);
        // Only so that a busy guest yields: the host ends it.
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
        Ok(store)
    }
}
