//! What one call of a guest has: its resource table, its limits and the capabilities behind its imports.
//!
//! A state belongs to one `Store` and goes with it. Services are shared between the calls of one extension.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use peat_core::identifiers::GrantName;
use peat_core::ports::{
    Clock, HolderIdentity, Movement, ObjectStore, Observer, Random, Replica, Silent, Spool, SpoolWriter, StoreError,
};
use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::capabilities::data::DataClient;
use crate::capabilities::log::GuestLog;
use crate::capabilities::wasi;
use crate::deadline::Activity;
use crate::host::HostOptions;
use crate::limits::{Accounting, Limits, Reached};

/// What stands behind the imports of one extension. What is `None` was not granted or is not of its kind.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) spool: Arc<dyn Spool>,
    pub(crate) observer: Arc<dyn Observer>,
    /// One JSON object.
    pub(crate) settings: Arc<str>,
    pub(crate) files: Arc<BTreeMap<GrantName, PathBuf>>,
    /// The same directories as preopened ones for `wasi:filesystem`.
    pub(crate) preopen: bool,
    pub(crate) secrets: Arc<BTreeMap<GrantName, String>>,
    pub(crate) directory: Option<Arc<dyn ObjectStore>>,
    pub(crate) bucket: Option<Arc<dyn ObjectStore>>,
    pub(crate) replica: Option<Arc<dyn Replica>>,
    pub(crate) identity: Option<Arc<dyn HolderIdentity>>,
    /// Bytes on their way to and from its store.
    pub(crate) movement: Movement,
}

/// The data of one `Store`.
pub(crate) struct GuestState {
    pub(crate) services: Services,
    pub(crate) limits: Limits,
    pub(crate) table: ResourceTable,
    pub(crate) accounting: Accounting,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) data: Option<DataClient>,
    /// Bytes of small contents of the guest's own that are alive.
    pub(crate) resident_bytes: Arc<AtomicU64>,
    /// Bytes of all contents made in this call.
    pub(crate) content_bytes: u64,
    /// `elapsed-ms` of the last progress report that was passed on.
    pub(crate) progress_at_ms: Option<u64>,
    wasi: WasiCtx,
}

/// Names how wasmtime gets at the state behind every import.
pub(crate) struct Capabilities;

impl HasData for Capabilities {
    type Data<'a> = &'a mut GuestState;
}

/// A limit that the host's own side of a call found reached; ends the call.
#[derive(Debug, thiserror::Error)]
#[error("the limit of {} {} is reached", .0.allowed, .0.limit)]
pub(crate) struct LimitReached(pub(crate) Reached);

impl GuestState {
    /// A fresh state. Fails only when a directory granted as a preopened one cannot be opened.
    pub(crate) fn new(
        services: Services,
        limits: Limits,
        log: Arc<GuestLog>,
        data: Option<DataClient>,
    ) -> wasmtime::Result<Self> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles as usize);
        Ok(Self {
            wasi: wasi::context(Arc::clone(&services.clock), services.preopened(), &log)?,
            accounting: Accounting::new(&limits),
            table,
            log,
            activity: Arc::new(Activity::new(services.movement.clone())),
            data,
            resident_bytes: Arc::new(AtomicU64::new(0)),
            content_bytes: 0,
            progress_at_ms: None,
            services,
            limits,
        })
    }

    /// Accounts for content that this call makes.
    pub(crate) fn take_content_bytes(&mut self, bytes: u64) -> Result<(), LimitReached> {
        let total = self.content_bytes.saturating_add(bytes);
        if total > self.limits.content_bytes {
            return Err(self.limit("bytes of content", self.limits.content_bytes));
        }
        self.content_bytes = total;
        Ok(())
    }

    /// Accounts for a small content until the answer is dropped.
    pub(crate) fn take_resident_bytes(&mut self, bytes: u64) -> Result<Resident, LimitReached> {
        let resident = Resident { total: Arc::clone(&self.resident_bytes), bytes };
        let before = self.resident_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.limits.resident_bytes {
            return Err(self.limit("bytes of small contents alive at once", self.limits.resident_bytes));
        }
        Ok(resident)
    }

    /// Notes that a limit was reached and makes the error that ends the call.
    pub(crate) fn limit(&mut self, limit: &'static str, allowed: u64) -> LimitReached {
        LimitReached::of(&mut self.accounting, limit, allowed)
    }
}

impl LimitReached {
    /// Notes it and makes the error.
    pub(crate) fn of(accounting: &mut Accounting, limit: &'static str, allowed: u64) -> Self {
        accounting.reach(limit, allowed);
        Self(Reached { limit, allowed })
    }
}

/// Bytes that count as resident as long as this lives.
#[derive(Debug)]
pub(crate) struct Resident {
    total: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Resident {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Services {
    /// The directories that `wasi:filesystem` shows.
    fn preopened(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.files.iter().filter(|_| self.preopen).map(|(name, path)| (name.as_str(), path.as_path()))
    }

    /// What an extension has before anything is granted: time, randomness and a spool that takes nothing.
    pub(crate) fn none(options: &HostOptions) -> Self {
        Self {
            clock: Arc::clone(&options.clock),
            random: Arc::clone(&options.random),
            spool: Arc::new(NoSpool),
            observer: Arc::new(Silent),
            settings: "{}".into(),
            files: Arc::default(),
            preopen: false,
            secrets: Arc::default(),
            directory: None,
            bucket: None,
            replica: None,
            identity: None,
            movement: Movement::default(),
        }
    }
}

/// Takes nothing: a component that is only being checked has no content.
struct NoSpool;

impl Spool for NoSpool {
    fn begin(&self) -> Result<Box<dyn SpoolWriter>, StoreError> {
        Err(StoreError::ReadOnly { path: "spool".to_owned(), reason: "the extension is only being checked".to_owned() })
    }
}
