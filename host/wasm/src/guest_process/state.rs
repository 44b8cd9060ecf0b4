//! What one call of a guest has in a runner: its limits, its way to the host, and WASI.

use std::sync::Arc;

use peat_core::ports::{Clock, Random};
use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::link::CallLink;
use crate::capabilities::log::GuestLog;
use crate::limits::Accounting;

/// The data of one `Store`.
pub(crate) struct RunnerState {
    pub(super) host: CallLink,
    pub(super) accounting: Accounting,
    pub(super) log: Arc<GuestLog>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    /// `elapsed-ms` of the last progress report that was passed on.
    pub(super) progress_at_ms: Option<u64>,
    pub(super) table: ResourceTable,
    pub(super) wasi: WasiCtx,
}

/// Names how wasmtime gets at the state behind every import.
pub(crate) struct Forwarded;

impl HasData for Forwarded {
    type Data<'a> = &'a mut RunnerState;
}

impl WasiView for RunnerState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
