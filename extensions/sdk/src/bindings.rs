//! What `wit-bindgen` makes of `wit/`. One module a world, all sharing the types of [`host`].
//!
//! Authors meet these types only through the wrappers of this crate, or as plain records in the datastore traits.

#![allow(missing_debug_implementations, unreachable_pub, clippy::all, unsafe_op_in_unsafe_fn)]
#![allow(clippy::undocumented_unsafe_blocks, rust_2018_idioms)]

/// Everything a host offers (`peat:host`).
pub mod host {
    wit_bindgen::generate!({
        path: ["../../wit/host"],
        inline: r#"
            package peat:sdk;
            world host-imports {
                import peat:host/log@0.1.0;
                import peat:host/config@0.1.0;
                import peat:host/progress@0.1.0;
                import peat:host/clock@0.1.0;
                import peat:host/random@0.1.0;
                import peat:host/blobs@0.1.0;
                import peat:host/data@0.1.0;
                import peat:host/files@0.1.0;
                import peat:host/secrets@0.1.0;
                import peat:host/objects@0.1.0;
                import peat:host/bucket@0.1.0;
                import peat:host/directory@0.1.0;
                import peat:host/replica@0.1.0;
                import peat:host/holders@0.1.0;
            }
        "#,
        generate_all,
    });
}

macro_rules! world {
    (
        $(#[$doc:meta])*
        $module:ident, $world:literal of $directory:literal, $export:literal, $place:literal, { $($with:tt)* }
    ) => {
        $(#[$doc])*
        pub mod $module {
            wit_bindgen::generate!({
                path: ["../../wit/host", $directory],
                world: $world,
                with: {
                    "peat:host/errors@0.1.0": crate::bindings::host::peat::host::errors,
                    "peat:host/log@0.1.0": crate::bindings::host::peat::host::log,
                    "peat:host/config@0.1.0": crate::bindings::host::peat::host::config,
                    "peat:host/progress@0.1.0": crate::bindings::host::peat::host::progress,
                    "peat:host/clock@0.1.0": crate::bindings::host::peat::host::clock,
                    "peat:host/random@0.1.0": crate::bindings::host::peat::host::random,
                    "peat:host/blobs@0.1.0": crate::bindings::host::peat::host::blobs,
                    $($with)*
                },
                generate_all,
                default_bindings_module: $place,
                export_macro_name: $export,
                pub_export_macro: true,
            });
        }
    };
}

macro_rules! datastore_world {
    ($(#[$doc:meta])* $module:ident, $world:literal, $export:literal, $place:literal, { $($with:tt)* }) => {
        world!(
            $(#[$doc])*
            $module, $world of "../../wit/datastore", $export, $place,
            {
                "peat:host/objects@0.1.0": crate::bindings::host::peat::host::objects,
                "peat:host/replica@0.1.0": crate::bindings::host::peat::host::replica,
                "peat:host/holders@0.1.0": crate::bindings::host::peat::host::holders,
                $($with)*
            }
        );
    };
}

world!(
    /// What a model extension exports (`peat:model`).
    model, "peat:model/model@0.1.0" of "../../wit/model", "export_model_bindings", "peat_sdk::bindings::model",
    { "peat:host/data@0.1.0": crate::bindings::host::peat::host::data }
);
datastore_world!(
    /// What every datastore extension exports (`peat:datastore`).
    datastore, "peat:datastore/datastore@0.1.0", "export_datastore_bindings", "peat_sdk::bindings::datastore",
    { "peat:host/data@0.1.0": crate::bindings::host::peat::host::data }
);
datastore_world!(
    /// Leases.
    locks, "peat:datastore/with-locks@0.1.0", "export_locks_bindings", "peat_sdk::bindings::locks",
    {
        "peat:host/data@0.1.0": crate::bindings::host::peat::host::data,
        "peat:datastore/types@0.1.0": crate::bindings::datastore::peat::datastore::types,
    }
);
datastore_world!(
    /// Content on demand.
    hydration, "peat:datastore/with-hydration@0.1.0", "export_hydration_bindings", "peat_sdk::bindings::hydration", {}
);
datastore_world!(
    /// Room and health.
    maintenance, "peat:datastore/with-maintenance@0.1.0", "export_maintenance_bindings",
    "peat_sdk::bindings::maintenance",
    {
        "peat:host/data@0.1.0": crate::bindings::host::peat::host::data,
        "peat:datastore/types@0.1.0": crate::bindings::datastore::peat::datastore::types,
    }
);
datastore_world!(
    /// Namespaces of one store.
    namespaces, "peat:datastore/with-namespaces@0.1.0", "export_namespaces_bindings",
    "peat_sdk::bindings::namespaces", {}
);
