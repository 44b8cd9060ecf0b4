//! Everything generated from `wit/`: the one module that knows the shape of the boundary in wasmtime's words.
//!
//! Generated values never leave this crate: `convert` turns them into domain types and validates what guests answered.
//! Every optional datastore interface has a world of its own, so that it can be looked for by itself.

/// What guests import.
pub(crate) mod imports {
    wasmtime::component::bindgen!({
        path: ["../../wit/host", "../../wit/datastore"],
        inline: "
            package peat:embedding;
            world imports {
                import peat:host/errors@0.1.0;
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
                import peat:datastore/types@0.1.0;
            }
        ",
        world: "peat:embedding/imports",
        with: {
            "peat:host/blobs.blob": crate::capabilities::blobs::Blob,
            "peat:host/blobs.writer": crate::capabilities::blobs::Writer,
            "peat:host/files.folder": crate::capabilities::files::Folder,
            "peat:host/objects.object-store": crate::capabilities::objects::OpenStore,
        },
        imports: { default: trappable },
    });

    pub(crate) use self::peat::datastore::types;
    pub(crate) use self::peat::host as interfaces;
}

macro_rules! exported {
    ($(#[$doc:meta])* $module:ident, $world:literal $(, $types:ident)?) => {
        $(#[$doc])*
        pub(crate) mod $module {
            wasmtime::component::bindgen!({
                path: ["../../wit/host", "../../wit/datastore"],
                world: $world,
                with: {
                    "peat:host": crate::bindings::imports::peat::host,
                    $("peat:datastore/types": crate::bindings::imports::peat::datastore::$types,)?
                },
                require_store_data_send: true,
            });
        }
    };
}

/// What model extensions export.
pub(crate) mod model {
    wasmtime::component::bindgen!({
        path: ["../../wit/host", "../../wit/model"],
        world: "peat:model/model",
        with: { "peat:host": crate::bindings::imports::peat::host },
        require_store_data_send: true,
    });

    pub(crate) use self::peat::model::types;
}

exported!(
    /// What every datastore extension exports.
    datastore,
    "peat:datastore/datastore",
    types
);
exported!(
    /// Optional: leases.
    locks,
    "peat:datastore/with-locks",
    types
);
exported!(
    /// Optional: content on demand.
    hydration,
    "peat:datastore/with-hydration"
);
exported!(
    /// Optional: room and health.
    maintenance,
    "peat:datastore/with-maintenance",
    types
);
exported!(
    /// Optional: namespaces.
    namespaces,
    "peat:datastore/with-namespaces"
);
