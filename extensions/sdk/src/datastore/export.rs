//! From the author's traits to the generated ones, and the export macro.

use std::fmt;
use std::marker::PhantomData;

use super::*;
use crate::bindings::datastore::exports::peat::datastore::{capabilities, sync};
use crate::bindings::hydration::exports::peat::datastore::hydration;
use crate::bindings::locks::exports::peat::datastore::locks;
use crate::bindings::maintenance::exports::peat::datastore::maintenance;
use crate::bindings::namespaces::exports::peat::datastore::namespaces;

/// The features that an export macro chose for the author's type.
#[doc(hidden)]
pub trait Chosen {
    /// What `describe` says.
    const FEATURES: Features;
}

/// The author's type as the generated code wants it: functions without a value.
#[doc(hidden)]
pub struct Exported<T>(PhantomData<T>);

impl<T> fmt::Debug for Exported<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Exported")
    }
}

impl<T: Capabilities + Chosen> capabilities::Guest for Exported<T> {
    async fn describe() -> Result<Description, Error> {
        let description = T::open().await?.describe().await?;
        Ok(Description { features: T::FEATURES, ..description })
    }

    async fn setup(namespace: String) -> Result<Profile, Error> {
        T::open().await?.setup(namespace).await
    }

    async fn verify(namespace: String) -> Result<Profile, Error> {
        T::open().await?.verify(namespace).await
    }
}

impl<T: Sync> sync::Guest for Exported<T> {
    async fn pull(request: PullRequest) -> Result<PullPage, Error> {
        T::open().await?.pull(request).await
    }

    async fn push(request: PushRequest) -> Result<Receipt, Error> {
        T::open().await?.push(request).await
    }
}

impl<T: Locks> locks::Guest for Exported<T> {
    async fn acquire(request: AcquireRequest) -> Result<Vec<Lease>, Error> {
        T::open().await?.acquire(request).await
    }

    async fn acquire_structural(namespace: String, ttl_ms: u64, wait_ms: u64) -> Result<Lease, Error> {
        T::open().await?.acquire_structural(namespace, ttl_ms, wait_ms).await
    }

    async fn renew(namespace: String, lease: Lease) -> Result<Lease, Error> {
        T::open().await?.renew(namespace, lease).await
    }

    async fn release(namespace: String, lease: Lease) -> Result<(), Error> {
        T::open().await?.release(namespace, lease).await
    }

    async fn inspect(namespace: String, cursor: Option<String>) -> Result<StatusPage, Error> {
        T::open().await?.inspect(namespace, cursor).await
    }

    async fn break_lease(namespace: String, partition: String, nonce: String) -> Result<(), Error> {
        T::open().await?.break_lease(namespace, partition, nonce).await
    }
}

impl<T: Hydration> hydration::Guest for Exported<T> {
    async fn fetch(namespace: String, wanted: Vec<Wanted>) -> Result<Vec<Result<Blob, Error>>, Error> {
        T::open().await?.fetch(namespace, wanted).await
    }
}

impl<T: Maintenance> maintenance::Guest for Exported<T> {
    async fn measure(namespace: String, cursor: Option<String>) -> Result<RoomPage, Error> {
        T::open().await?.measure(namespace, cursor).await
    }

    async fn collect(request: CollectRequest) -> Result<Vec<Collected>, Error> {
        T::open().await?.collect(request).await
    }

    async fn check(request: CheckRequest) -> Result<CheckPage, Error> {
        T::open().await?.check(request).await
    }

    async fn repair(request: RepairRequest) -> Result<Repaired, Error> {
        T::open().await?.repair(request).await
    }
}

impl<T: Namespaces> namespaces::Guest for Exported<T> {
    async fn list(cursor: Option<String>) -> Result<NamespacePage, Error> {
        T::open().await?.list(cursor).await
    }

    async fn create(name: String, parent: Option<String>, expires_at_ms: Option<u64>) -> Result<Namespace, Error> {
        T::open().await?.create(name, parent, expires_at_ms).await
    }

    async fn migrate(source: String, target: String, state: Option<String>) -> Result<Step, Error> {
        T::open().await?.migrate(source, target, state).await
    }

    async fn fold(name: String, state: Option<String>) -> Result<Step, Error> {
        T::open().await?.fold(name, state).await
    }

    async fn delete(name: String, in_use: bool, state: Option<String>) -> Result<Step, Error> {
        T::open().await?.delete(name, in_use, state).await
    }
}

/// Exports a type that implements [`Capabilities`] and [`Sync`], and the traits of the `features` named, and writes the
/// metadata section. What is not named is not exported, and `describe` says the same.
///
/// ```
/// use peat_sdk::Error;
/// use peat_sdk::datastore::{self, *};
///
/// struct Nowhere;
///
/// impl Datastore for Nowhere {
///     async fn open() -> Result<Self, Error> { Ok(Nowhere) }
/// }
/// impl Capabilities for Nowhere {
///     async fn describe(&self) -> Result<Description, Error> {
///         Ok(Description { summary: "nowhere".into(), features: Features::empty(), inline_limit: 0 })
///     }
///     async fn setup(&self, namespace: String) -> Result<Profile, Error> { self.verify(namespace).await }
///     async fn verify(&self, _: String) -> Result<Profile, Error> {
///         Ok(Profile { store_id: "nowhere".into(), format_version: 1, findings: Vec::new() })
///     }
/// }
/// impl datastore::Sync for Nowhere {
///     async fn pull(&self, _: PullRequest) -> Result<PullPage, Error> {
///         Ok(PullPage { deltas: Vec::new(), cursor: None, partitions_total: Some(0) })
///     }
///     async fn push(&self, request: PushRequest) -> Result<Receipt, Error> {
///         Err(Error::unsupported(request.partition, "nothing can be kept nowhere"))
///     }
/// }
///
/// peat_sdk::export_datastore! {
///     type: Nowhere,
///     name: "@acme/nowhere",
///     summary: "Keeps nothing",
///     settings: { "type": "object", "additionalProperties": false },
///     features: [],
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_datastore {
    (
        type: $type:ty,
        name: $name:literal,
        summary: $summary:literal,
        $(wants: { $($capability:literal : $reason:literal),* $(,)? },)?
        $(settings: $settings:tt,)?
        features: [$($feature:ident),* $(,)?] $(,)?
    ) => {
        $crate::__metadata_section! {
            Json("{\"format\":1,\"name\":"), Text($name),
            Json(",\"version\":"), Text(::core::env!("CARGO_PKG_VERSION")),
            Json(",\"summary\":"), Text($summary),
            $(Json(",\"wants\":["), $(
                Comma, Json("{\"capability\":"), Text($capability), Json(",\"reason\":"), Text($reason), Json("}"),
            )* Json("]"),)?
            Json(",\"datastore\":{"),
            $(Json("\"settings\":"), Json(::core::stringify!($settings)), Json(","),)?
            Json("\"features\":["), $(Comma, Text(::core::stringify!($feature)),)* Json("]}}"),
        }

        impl $crate::datastore::Chosen for $type {
            const FEATURES: $crate::datastore::Features =
                $crate::datastore::Features::empty()$(.union($crate::__datastore_feature!($feature)))*;
        }

        #[doc(hidden)]
        #[allow(dead_code)]
        type __PeatDatastore = $crate::datastore::Exported<$type>;

        // The names of exports are no names for a native linker.
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::datastore::export_datastore_bindings!(
            __PeatDatastore with_types_in $crate::bindings::datastore
        );
        $($crate::__datastore_export!($feature);)*
    };
}

/// The flag of a feature.
#[doc(hidden)]
#[macro_export]
macro_rules! __datastore_feature {
    (locks) => {
        $crate::datastore::Features::LOCKS
    };
    (hydration) => {
        $crate::datastore::Features::HYDRATION
    };
    (maintenance) => {
        $crate::datastore::Features::MAINTENANCE
    };
    (namespaces) => {
        $crate::datastore::Features::NAMESPACES
    };
}

/// The exports of a feature.
#[doc(hidden)]
#[macro_export]
macro_rules! __datastore_export {
    (locks) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::locks::export_locks_bindings!(__PeatDatastore with_types_in $crate::bindings::locks);
    };
    (hydration) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::hydration::export_hydration_bindings!(
            __PeatDatastore with_types_in $crate::bindings::hydration
        );
    };
    (maintenance) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::maintenance::export_maintenance_bindings!(
            __PeatDatastore with_types_in $crate::bindings::maintenance
        );
    };
    (namespaces) => {
        #[cfg(target_arch = "wasm32")]
        $crate::bindings::namespaces::export_namespaces_bindings!(
            __PeatDatastore with_types_in $crate::bindings::namespaces
        );
    };
}
