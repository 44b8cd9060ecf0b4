//! The lane of renewals in virtual time: a task beside the one that [`ManualClock::run`] runs.

use std::future::ready;
use std::io;
use std::sync::Arc;

use peat_core::ports::Datastore;
use peat_core::renewal::{Renewal, RenewalLane};

use crate::clock::ManualClock;

/// Renews the leases of one handle.
pub struct ManualLane {
    datastore: Arc<dyn Datastore>,
    clock: ManualClock,
}

impl std::fmt::Debug for ManualLane {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ManualLane").finish_non_exhaustive()
    }
}

impl ManualLane {
    /// A lane for the leases of `datastore`.
    pub fn new(datastore: Arc<dyn Datastore>, clock: ManualClock) -> Self {
        Self { datastore, clock }
    }
}

impl RenewalLane for ManualLane {
    fn begin(&self, renewal: Renewal) -> io::Result<()> {
        let (datastore, clock) = (Arc::clone(&self.datastore), self.clock.clone());
        self.clock.beside(async move { renewal.run(ready(datastore), &clock).await });
        Ok(())
    }
}
