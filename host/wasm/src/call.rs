//! One call of one exported function: a fresh store, its limits, a deadline, and a named error for every other end.
//!
//! The guest runs on a task of its own and yields at every epoch. Two things end it: the deadline on the host's timer,
//! which also cuts waits inside host functions, and dropping the future, which aborts the task at its next yield. The
//! store goes with the call, whatever came of it.

use std::sync::Arc;
use std::time::Instant;

use peat_core::ports::ExtensionError;
use tokio::task::JoinHandle;
use wasmtime::component::{ComponentNamedList, Instance, Lift, Lower, TypedFunc};
use wasmtime::error::Context as _;
use wasmtime::{Store, UpdateDeadline};

use crate::bindings;
use crate::capabilities::data::DataClient;
use crate::capabilities::log::GuestLog;
use crate::convert::Invalid;
use crate::deadline::{Deadline, Patience};
use crate::failure::CallName;
use crate::host::{HostOptions, Loaded};
use crate::inspect::{DATASTORE_REQUIRED, Inspected, InspectedKind, METHODS, feature_interface};
use crate::limits::Limits;
use crate::state::{GuestState, Services};

/// Everything a call needs but its function and arguments.
pub(crate) struct Call {
    pub(crate) loaded: Loaded,
    pub(crate) services: Services,
    pub(crate) limits: Limits,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) data: Option<DataClient>,
    pub(crate) patience: Patience,
    pub(crate) name: &'static str,
}

/// Finds an exported function, with its type checked.
pub(crate) type Select<P, R> = fn(&mut Store<GuestState>, &Instance) -> wasmtime::Result<TypedFunc<P, R>>;

impl Call {
    /// Calls a function. `arguments` makes its parameters inside the store (handles), `answer` takes its results out and
    /// validates them before the store goes. Cancel safe: dropped, the guest ends at its next yield.
    pub(crate) async fn run<P, R, A>(
        self,
        select: Select<P, R>,
        arguments: impl FnOnce(&mut GuestState) -> wasmtime::Result<P> + Send + 'static,
        answer: impl FnOnce(&mut GuestState, R) -> Result<A, Invalid> + Send + 'static,
    ) -> Result<A, ExtensionError>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
        A: Send + 'static,
    {
        let name = CallName { extension: self.loaded.extension.to_string(), call: self.name };
        let mut task = EndWithCaller(tokio::spawn(self.run_here(select, arguments, answer, name.clone())));
        match (&mut task.0).await {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => Err(name.cancelled()),
            Err(error) => Err(name.host(error)),
        }
    }

    async fn run_here<P, R, A>(
        self,
        select: Select<P, R>,
        arguments: impl FnOnce(&mut GuestState) -> wasmtime::Result<P> + Send + 'static,
        answer: impl FnOnce(&mut GuestState, R) -> Result<A, Invalid> + Send + 'static,
        name: CallName,
    ) -> Result<A, ExtensionError>
    where
        P: ComponentNamedList + Lower + Send + Sync + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let Self { loaded, services, limits, log, data, patience, name: _ } = self;
        let state =
            GuestState::new(services, limits.clone(), Arc::clone(&log), data).map_err(|error| name.host(error))?;
        let deadline = Arc::new(Deadline::new(patience, Arc::clone(&state.activity)));
        let mut store = store(&loaded, state, Arc::clone(&deadline));
        let called = until(&deadline, async {
            let instance = loaded.pre.instantiate_async(&mut store).await?;
            let function = select(&mut store, &instance)?;
            let parameters = arguments(store.data_mut())?;
            function.call_async(&mut store, parameters).await
        })
        .await;
        let deadline = patience.duration();
        let ended = match called {
            Some(Ok(results)) => answer(store.data_mut(), results).map_err(|invalid| name.malformed(invalid)),
            Some(Err(error)) => Err(name.failed(&error, &store.data().accounting, &limits, deadline)),
            None => Err(name.deadline(deadline)),
        };
        drop(store);
        log.close();
        ended
    }
}

/// Aborts the task of a call whose caller is gone.
struct EndWithCaller<T>(JoinHandle<T>);

impl<T> Drop for EndWithCaller<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The value, or none when the deadline is over first.
async fn until<T>(deadline: &Deadline, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(deadline.next_look(), work.as_mut()).await {
            Ok(value) => return Some(value),
            Err(_) if deadline.is_over(Instant::now()) => return None,
            Err(_) => {}
        }
    }
}

fn store(loaded: &Loaded, state: GuestState, deadline: Arc<Deadline>) -> Store<GuestState> {
    let host_call_bytes = usize::try_from(state.limits.host_call_bytes).unwrap_or(usize::MAX);
    let handles = state.limits.handles as usize;
    let mut store = Store::new(loaded.pre.engine(), state);
    store.limiter(|state| &mut state.accounting);
    store.set_hostcall_fuel(host_call_bytes);
    store.set_max_component_handles(handles);
    store.set_epoch_deadline(1);
    // The timer ends a call at its next yield; this ends it too where the runtime is too busy to run the timer.
    store.epoch_deadline_callback(move |_| {
        Ok(match deadline.is_over(Instant::now()) {
            true => UpdateDeadline::Interrupt,
            // Tokio's own yield lets its timers run before the guest goes on, also when every thread has a busy guest.
            false => UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())),
        })
    });
    store
}

/// Instantiates a component and compares the types of its exports with the contract. Calls none of them.
pub(crate) async fn load_once(
    loaded: &Loaded,
    inspected: &Inspected,
    options: &HostOptions,
) -> Result<(), ExtensionError> {
    let name = CallName { extension: loaded.extension.to_string(), call: "instantiation" };
    let limits = options.limits.clone();
    let deadline = limits.local_deadline;
    let log = GuestLog::new(&limits, Box::new(|_, _| {}));
    let state =
        GuestState::new(Services::none(options), limits.clone(), log, None).map_err(|error| name.host(error))?;
    let watched = Arc::new(Deadline::new(Patience::Total(deadline), Arc::clone(&state.activity)));
    let mut store = store(loaded, state, watched);
    let instance = match tokio::time::timeout(deadline, loaded.pre.instantiate_async(&mut store)).await {
        Ok(Ok(instance)) => instance,
        Ok(Err(error)) => return Err(name.failed(&error, &store.data().accounting, &limits, deadline)),
        Err(_) => return Err(name.deadline(deadline)),
    };
    check_exports(&mut store, &instance, inspected).map_err(|error| ExtensionError::Unusable {
        extension: loaded.extension.to_string(),
        reason: format!(
            "its exports do not fit the contract of this peat: {}; build it again for {}",
            crate::failure::one_line(&error),
            crate::imports::CONTRACT
        ),
    })
}

fn check_exports(store: &mut Store<GuestState>, instance: &Instance, inspected: &Inspected) -> wasmtime::Result<()> {
    match inspected.kind() {
        InspectedKind::Models => bindings::model::Model::new(&mut *store, instance).map(drop).context(METHODS),
        InspectedKind::Datastore => {
            bindings::datastore::Datastore::new(&mut *store, instance).context(DATASTORE_REQUIRED.join(" or "))?;
            let exports = |feature: &str| inspected.exports.contains(&feature_interface(feature));
            if exports("locks") {
                bindings::locks::WithLocks::new(&mut *store, instance).context(feature_interface("locks"))?;
            }
            if exports("hydration") {
                bindings::hydration::WithHydration::new(&mut *store, instance)
                    .context(feature_interface("hydration"))?;
            }
            if exports("maintenance") {
                bindings::maintenance::WithMaintenance::new(&mut *store, instance)
                    .context(feature_interface("maintenance"))?;
            }
            if exports("namespaces") {
                bindings::namespaces::WithNamespaces::new(&mut *store, instance)
                    .context(feature_interface("namespaces"))?;
            }
            Ok(())
        }
    }
}
