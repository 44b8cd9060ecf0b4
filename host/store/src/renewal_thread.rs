//! The lane of renewals: one thread with a runtime of its own, started with the first lease of a process.
//!
//! Guests, hashing and uploads keep the main runtime busy for as long as they like; here nothing runs but renewals.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use peat_core::ports::{Clock, Datastore};
use peat_core::renewal::{Renewal, RenewalLane};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{self, UnboundedSender};

/// Renews the leases of one datastore. The thread ends with this value.
pub struct RenewalThread {
    datastore: Arc<dyn Datastore>,
    clock: Arc<dyn Clock>,
    started: Mutex<Option<UnboundedSender<Renewal>>>,
}

impl fmt::Debug for RenewalThread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RenewalThread").finish_non_exhaustive()
    }
}

impl RenewalThread {
    /// A lane for the leases of `datastore`. Starts nothing yet: most commands take no lease.
    pub fn new(datastore: Arc<dyn Datastore>, clock: Arc<dyn Clock>) -> Self {
        Self { datastore, clock, started: Mutex::default() }
    }

    fn start(&self) -> io::Result<UnboundedSender<Renewal>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        // As many as the process holds leases.
        let (sender, mut begun) = mpsc::unbounded_channel::<Renewal>();
        let (datastore, clock) = (Arc::clone(&self.datastore), Arc::clone(&self.clock));
        let renew = async move {
            while let Some(renewal) = begun.recv().await {
                let (datastore, clock) = (Arc::clone(&datastore), Arc::clone(&clock));
                tokio::spawn(async move { renewal.run(&*datastore, &*clock).await });
            }
        };
        thread::Builder::new().name("peat-renewals".to_owned()).spawn(move || runtime.block_on(renew))?;
        Ok(sender)
    }
}

impl RenewalLane for RenewalThread {
    fn begin(&self, renewal: Renewal) -> io::Result<()> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = match &*started {
            Some(lane) => lane,
            None => started.insert(self.start()?),
        };
        lane.send(renewal).map_err(|_| io::Error::other("the thread of renewals has ended"))
    }
}
