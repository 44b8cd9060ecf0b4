//! The lane of renewals: one thread with a runtime of its own, started with the first lease of a process.
//!
//! Guests, hashing and uploads keep the main runtime busy for as long as they like; here nothing runs but renewals. So the
//! datastore they go to must share nothing with the other runtime either: a connection is driven by the runtime that
//! opened it.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures::future::{BoxFuture, FutureExt as _, ready};
use peat_core::ports::{Clock, Datastore};
use peat_core::renewal::{Renewal, RenewalLane};
use tokio::runtime::Builder;
use tokio::sync::mpsc::{self, Sender};

/// Leases that may be begun with before the thread has seen the first of them: more than one command takes.
const BEGUN_MAX: usize = 1_024;

type Opening = BoxFuture<'static, Arc<dyn Datastore>>;

/// Renews the leases of one datastore. The thread ends with this value.
pub struct RenewalThread {
    clock: Arc<dyn Clock>,
    lane: Mutex<Lane>,
}

enum Lane {
    /// No lease was taken yet.
    New(Opening),
    Started(Sender<Renewal>),
    /// The thread could not be started.
    Failed,
}

impl fmt::Debug for RenewalThread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("RenewalThread").finish_non_exhaustive()
    }
}

impl RenewalThread {
    /// A lane for the leases of `datastore`. Starts nothing yet: most commands take no lease.
    pub fn new(datastore: Arc<dyn Datastore>, clock: Arc<dyn Clock>) -> Self {
        Self::opening(ready(datastore), clock)
    }

    /// The same for a datastore that is opened on the thread itself, for the first lease that lasts.
    pub fn opening(
        datastore: impl Future<Output = Arc<dyn Datastore>> + Send + 'static,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { clock, lane: Mutex::new(Lane::New(datastore.boxed())) }
    }

    fn start(&self, opening: Opening) -> io::Result<Sender<Renewal>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (sender, mut begun) = mpsc::channel::<Renewal>(BEGUN_MAX);
        let clock = Arc::clone(&self.clock);
        let renew = async move {
            let datastore = opening.shared();
            while let Some(renewal) = begun.recv().await {
                let (datastore, clock) = (datastore.clone(), Arc::clone(&clock));
                tokio::spawn(async move { renewal.run(datastore, &*clock).await });
            }
        };
        thread::Builder::new().name("peat-renewals".to_owned()).spawn(move || runtime.block_on(renew))?;
        Ok(sender)
    }
}

impl RenewalLane for RenewalThread {
    fn begin(&self, renewal: Renewal) -> io::Result<()> {
        let mut lane = self.lane.lock().unwrap_or_else(PoisonError::into_inner);
        if let Lane::New(_) = &*lane
            && let Lane::New(opening) = std::mem::replace(&mut *lane, Lane::Failed)
        {
            *lane = Lane::Started(self.start(opening)?);
        }
        match &*lane {
            Lane::Started(sender) => sender.try_send(renewal).map_err(io::Error::other),
            Lane::New(_) | Lane::Failed => Err(io::Error::other("the thread of renewals could not be started")),
        }
    }
}
