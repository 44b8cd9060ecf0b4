//! One call of one exported function: a fresh store, its limits, a deadline, and a named error for every other end.
//!
//! The guest runs on the task of its caller, so that a call changes no thread, and yields to whatever else that task does
//! at every epoch. Two things end it: the deadline on the host's timer, which also cuts waits inside host functions, and
//! dropping the future. The store goes with the call, whatever came of it.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use peat_core::ports::ExtensionError;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::error::Context as _;
use wasmtime::{Engine, Store, UpdateDeadline};

use crate::bindings;
use crate::capabilities::data::DataClient;
use crate::capabilities::log::GuestLog;
use crate::convert::Invalid;
use crate::deadline::{Deadline, Patience};
use crate::epoch::EpochThread;
use crate::exports::Export;
use crate::failure::CallName;
use crate::host::{HostOptions, Loaded, Place};
use crate::inspect::{DATASTORE_REQUIRED, Inspected, InspectedKind, METHODS, feature_interface};
use crate::limits::Limits;
use crate::runner::ConnectedRunner;
use crate::state::{GuestState, Services};

/// Everything a call needs but its function and arguments.
pub(crate) struct Call {
    pub(crate) loaded: Loaded,
    pub(crate) services: Services,
    pub(crate) limits: Limits,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) data: Option<DataClient>,
    pub(crate) patience: Patience,
}

impl Call {
    /// Calls a function. `arguments` makes its parameters inside the store (handles), `answer` takes its results out and
    /// validates them before the store goes. Cancel safe: dropped, the guest is gone.
    pub(crate) async fn run<E, A>(
        self,
        arguments: impl FnOnce(&mut GuestState) -> wasmtime::Result<E::Parameters> + Send,
        answer: impl FnOnce(&mut GuestState, E::Results) -> Result<A, Invalid> + Send,
    ) -> Result<A, ExtensionError>
    where
        E: Export,
    {
        let name = CallName { extension: self.loaded.extension.to_string(), call: E::NAME };
        // Everything of the call goes with it, so nothing is left that a panic could have broken.
        let called = AssertUnwindSafe(Box::pin(self.run_named::<E, A>(arguments, answer, &name))).catch_unwind();
        called.await.unwrap_or_else(|panic| Err(name.host(format!("the host panicked: {}", panic_message(&*panic)))))
    }

    async fn run_named<E, A>(
        self,
        arguments: impl FnOnce(&mut GuestState) -> wasmtime::Result<E::Parameters> + Send,
        answer: impl FnOnce(&mut GuestState, E::Results) -> Result<A, Invalid> + Send,
        name: &CallName,
    ) -> Result<A, ExtensionError>
    where
        E: Export,
    {
        let Self { loaded, services, limits, log, data, patience } = self;
        let state =
            GuestState::new(services, limits.clone(), Arc::clone(&log), data).map_err(|error| name.host(error))?;
        // Like compiling, starting a runner is not the guest's time.
        let connected = match &loaded.place {
            Place::Here(component, epoch) => Connected::Here(component, epoch),
            Place::Runner(runner) => Connected::Runner(runner.connected(name).await?),
        };
        let deadline = Arc::new(Deadline::new(patience, Arc::clone(&state.activity)));
        let mut store = store(&loaded.engine, state, Arc::clone(&deadline));
        let called = until(&deadline, async {
            match connected {
                Connected::Here(component, epoch) => {
                    epoch.while_polled(here::<E>(&mut store, component, arguments, name, &limits, patience)).await
                }
                Connected::Runner(runner) => runner.call::<E>(&mut store, arguments, name, patience).await,
            }
        })
        .await;
        let ended = match called {
            Some(Ok(results)) => answer(store.data_mut(), results).map_err(|invalid| name.malformed(invalid)),
            Some(Err(error)) => Err(error),
            None => Err(name.deadline(patience.duration())),
        };
        drop(store);
        log.close();
        ended
    }
}

/// A place where the guest can be called now.
enum Connected<'a> {
    Here(&'a InstancePre<GuestState>, &'a EpochThread),
    Runner(ConnectedRunner<'a>),
}

/// Calls the function in this process.
async fn here<E: Export>(
    store: &mut Store<GuestState>,
    component: &InstancePre<GuestState>,
    arguments: impl FnOnce(&mut GuestState) -> wasmtime::Result<E::Parameters>,
    name: &CallName,
    limits: &Limits,
    patience: Patience,
) -> Result<E::Results, ExtensionError> {
    let called = async {
        let instance = component.instantiate_async(&mut *store).await?;
        let function = E::find(store, &instance)?;
        let parameters = arguments(store.data_mut())?;
        function.call_async(&mut *store, parameters).await
    };
    let called = called.await;
    called.map_err(|error| name.failed(&error, &store.data().accounting, limits, patience.duration()))
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message")
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

fn store(engine: &Engine, state: GuestState, deadline: Arc<Deadline>) -> Store<GuestState> {
    let host_call_bytes = usize::try_from(state.limits.host_call_bytes).unwrap_or(usize::MAX);
    let handles = state.limits.handles as usize;
    let mut store = Store::new(engine, state);
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
    extension: &str,
    component: &InstancePre<GuestState>,
    epoch: &EpochThread,
    inspected: &Inspected,
    options: &HostOptions,
) -> Result<(), ExtensionError> {
    let name = CallName { extension: extension.to_owned(), call: "instantiation" };
    let limits = options.limits.clone();
    let deadline = limits.local_deadline;
    let log = GuestLog::new(&limits, Box::new(|_, _| {}));
    let state =
        GuestState::new(Services::none(options), limits.clone(), log, None).map_err(|error| name.host(error))?;
    let watched = Arc::new(Deadline::new(Patience::Total(deadline), Arc::clone(&state.activity)));
    let mut store = store(component.engine(), state, watched);
    let instantiated = epoch.while_polled(component.instantiate_async(&mut store));
    let instance = match tokio::time::timeout(deadline, instantiated).await {
        Ok(Ok(instance)) => instance,
        Ok(Err(error)) => return Err(name.failed(&error, &store.data().accounting, &limits, deadline)),
        Err(_) => return Err(name.deadline(deadline)),
    };
    check_exports(&mut store, &instance, inspected).map_err(|error| ExtensionError::Unusable {
        extension: extension.to_owned(),
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
