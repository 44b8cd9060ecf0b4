//! The functions that guests export, each with its name, its types and where it is found.

use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Instance, Lift, Lower, TypedFunc};

use crate::bindings::datastore::Datastore;
use crate::bindings::datastore::exports::peat::datastore::{capabilities, sync};
use crate::bindings::hydration::WithHydration;
use crate::bindings::hydration::exports::peat::datastore::hydration;
use crate::bindings::imports::interfaces::blobs::Blob;
use crate::bindings::imports::interfaces::errors::Error;
use crate::bindings::imports::types::Lease;
use crate::bindings::locks::WithLocks;
use crate::bindings::locks::exports::peat::datastore::locks;
use crate::bindings::maintenance::WithMaintenance;
use crate::bindings::maintenance::exports::peat::datastore::maintenance;
use crate::bindings::model::{Model, types as model};
use crate::bindings::namespaces::WithNamespaces;
use crate::bindings::namespaces::exports::peat::datastore::namespaces;
use crate::wire::Wire;

/// A function that guests export.
pub(crate) trait Export: 'static {
    /// Its name, unique among all of them.
    const NAME: &'static str;
    type Parameters: ComponentNamedList + Lower + Wire + Send + Sync + 'static;
    type Results: ComponentNamedList + Lift + Wire + Send + Sync + 'static;

    /// Finds it in an instance, with its type checked.
    fn find<T: Send + 'static>(
        store: &mut Store<T>,
        instance: &Instance,
    ) -> wasmtime::Result<TypedFunc<Self::Parameters, Self::Results>>;
}

/// Something to be done with an export that is known by its name only.
pub(crate) trait Visit {
    type Output;
    fn visit<E: Export>(self) -> Self::Output;
}

type Answered<T> = (Result<T, Error>,);

macro_rules! exports {
    ($($(#[$doc:meta])* $export:ident $name:literal $parameters:ty => $results:ty : $world:ident . $interface:ident . $function:ident;)*) => {
        $(
            $(#[$doc])*
            pub(crate) struct $export;

            impl Export for $export {
                const NAME: &'static str = $name;
                type Parameters = $parameters;
                type Results = $results;

                fn find<T: Send + 'static>(
                    store: &mut Store<T>,
                    instance: &Instance,
                ) -> wasmtime::Result<TypedFunc<Self::Parameters, Self::Results>> {
                    Ok($world::new(&mut *store, instance)?.$interface().$function())
                }
            }
        )*

        /// Visits the export of that name; none where there is no such export.
        pub(crate) fn visit<V: Visit>(name: &str, visitor: V) -> Option<V::Output> {
            match name {
                $(<$export as Export>::NAME => Some(visitor.visit::<$export>()),)*
                _ => None,
            }
        }
    };
}

exports! {
    Run "run" (model::Invocation,) => (Result<model::Outcome, model::Failure>,): Model.peat_model_methods.func_run;
    Describe "describe" () => Answered<capabilities::Description>: Datastore.peat_datastore_capabilities.func_describe;
    Setup "setup" (String,) => Answered<capabilities::Profile>: Datastore.peat_datastore_capabilities.func_setup;
    Verify "verify" (String,) => Answered<capabilities::Profile>: Datastore.peat_datastore_capabilities.func_verify;
    Pull "pull" (sync::PullRequest,) => Answered<sync::PullPage>: Datastore.peat_datastore_sync.func_pull;
    Push "push" (sync::PushRequest,) => Answered<sync::Receipt>: Datastore.peat_datastore_sync.func_push;
    Acquire "acquire" (locks::AcquireRequest,) => Answered<Vec<Lease>>: WithLocks.peat_datastore_locks.func_acquire;
    AcquireStructural "acquire-structural" (String, u64, u64) => Answered<Lease>:
        WithLocks.peat_datastore_locks.func_acquire_structural;
    Renew "renew" (String, Lease) => Answered<Lease>: WithLocks.peat_datastore_locks.func_renew;
    Release "release" (String, Lease) => Answered<()>: WithLocks.peat_datastore_locks.func_release;
    Inspect "inspect" (String, Option<String>) => Answered<locks::StatusPage>: WithLocks.peat_datastore_locks.func_inspect;
    BreakLease "break-lease" (String, String, String) => Answered<()>: WithLocks.peat_datastore_locks.func_break_lease;
    Measure "measure" (String, Option<String>) => Answered<maintenance::RoomPage>:
        WithMaintenance.peat_datastore_maintenance.func_measure;
    Collect "collect" (maintenance::CollectRequest,) => Answered<Vec<maintenance::Collected>>:
        WithMaintenance.peat_datastore_maintenance.func_collect;
    Check "check" (maintenance::CheckRequest,) => Answered<maintenance::CheckPage>:
        WithMaintenance.peat_datastore_maintenance.func_check;
    Repair "repair" (maintenance::RepairRequest,) => Answered<maintenance::Repaired>:
        WithMaintenance.peat_datastore_maintenance.func_repair;
    ListNamespaces "list" (Option<String>,) => Answered<namespaces::Page>:
        WithNamespaces.peat_datastore_namespaces.func_list;
    CreateNamespace "create" (String, Option<String>, Option<u64>) => Answered<namespaces::Namespace>:
        WithNamespaces.peat_datastore_namespaces.func_create;
    MigrateNamespace "migrate" (String, String, Option<String>) => Answered<namespaces::Step>:
        WithNamespaces.peat_datastore_namespaces.func_migrate;
    FoldNamespace "fold" (String, Option<String>) => Answered<namespaces::Step>:
        WithNamespaces.peat_datastore_namespaces.func_fold;
    DeleteNamespace "delete" (String, bool, Option<String>) => Answered<namespaces::Step>:
        WithNamespaces.peat_datastore_namespaces.func_delete;
    Fetch "fetch" (String, Vec<hydration::Wanted>) => Answered<Vec<Result<wasmtime::component::Resource<Blob>, Error>>>:
        WithHydration.peat_datastore_hydration.func_fetch;
}
