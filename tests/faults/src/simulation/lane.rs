//! The lane of renewals of a simulated process: a task of its own, which stands still and dies with the process.

use std::future::ready;
use std::io;

use peat_core::renewal::{Renewal, RenewalLane};

use super::datastore::ProcessDatastore;
use super::world::ProcessWorld;

/// Renews the leases of one process.
#[derive(Debug, Clone)]
pub(super) struct ProcessLane(pub(super) ProcessWorld);

impl RenewalLane for ProcessLane {
    fn begin(&self, renewal: Renewal) -> io::Result<()> {
        let world = self.0.clone();
        let scheduler = world.simulation.scheduler.clone();
        let renewing = async move { renewal.run(ready(&ProcessDatastore::new(&world)), &world).await };
        scheduler.spawn(self.0.process, renewing).detach();
        Ok(())
    }
}
