//! What a locked write costs, in requests and in round trips one after the other, where a round trip takes a fixed time and
//! nothing goes wrong.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peat_core::content::in_memory;
use peat_core::identifiers::DataName;
use peat_core::interrupt::Interrupt;
use peat_core::ports::{Invocation, MethodError, MethodExecutor, MethodOutcome, RunData, RunLog};
use peat_core::repository::HydrationStrategy;

use super::host::Host;
use super::moves::NAMESPACE;
use super::scheduler::{Ending, OUTSIDE, Scheduler};
use super::world::ProcessWorld;
use super::{BEGINNING_MS, Options, Scenario, Simulation, lock, sessions, work};

/// A request, there and back, in the quiet scenario.
const ROUND_TRIP_MS: u64 = 2;

/// What the method takes: less than a round trip, so that nothing can hide behind it.
const METHOD_MS: u64 = 1;

/// Bytes that the method writes.
const ITEM_BYTES: usize = 1024;

/// The cost of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteCost {
    /// Requests sent.
    pub requests: u64,
    /// Round trips that it took beyond the method.
    pub round_trips: u64,
}

/// The cost of a run that writes 1 KB, on a machine that has run the model before.
pub fn warm_write() -> WriteCost {
    let scheduler = Scheduler::new(1, BEGINNING_MS);
    let simulation = Arc::new(Simulation::new(scheduler.clone(), Scenario::quiet(), Options::default()));
    let measuring = scheduler.spawn(OUTSIDE, measure(Arc::clone(&simulation)));
    let ending: Result<Ending, String> = scheduler.run(|| match simulation.oracle().violation() {
        Some(violation) => Err(violation.0),
        None => Ok(()),
    });
    assert_eq!(ending, Ok(Ending::Ended));
    futures::executor::block_on(measuring).expect("it came to its end")
}

async fn measure(simulation: Arc<Simulation>) -> WriteCost {
    let host = Arc::new(Host::new(1, NAMESPACE, &simulation.scheduler, false));
    sessions::set_up(&simulation, &host).await;
    run_once(&simulation, &host).await;
    let requests = || lock(&simulation.counts).requests;
    let (began_ms, before) = (simulation.scheduler.now_ms(), requests());
    run_once(&simulation, &host).await;
    let took_ms = simulation.scheduler.now_ms() - began_ms;
    let cost = WriteCost { requests: requests() - before, round_trips: (took_ms - METHOD_MS) / ROUND_TRIP_MS };
    simulation.scheduler.end();
    cost
}

/// One run in a process of its own.
async fn run_once(simulation: &Arc<Simulation>, host: &Arc<Host>) {
    let process = host.begin(simulation);
    let world = ProcessWorld::new(simulation, host, process);
    let work = async move {
        let executor = Writer { world: world.clone() };
        let patience = Duration::from_secs(60);
        let request = work::run_request(0, patience, patience, HydrationStrategy::Lazy);
        let report = work::run(&world, &executor, request, &Interrupt::new()).await.expect("nothing goes wrong");
        world.simulation.oracle().acknowledge_run(&report);
    };
    simulation.scheduler.spawn(process, work).await.expect("nobody stops it");
    host.end(simulation, process);
}

/// Takes its time and writes one item.
struct Writer {
    world: ProcessWorld,
}

#[async_trait]
impl MethodExecutor for Writer {
    async fn execute(
        &self,
        _invocation: &Invocation,
        data: &dyn RunData,
        _log: &dyn RunLog,
    ) -> Result<MethodOutcome, MethodError> {
        self.world.simulation.scheduler.sleep(METHOD_MS).await;
        let name = DataName::parse("item").expect("a name");
        data.write(name, in_memory(vec![7; ITEM_BYTES]), "text/plain".to_owned(), None, Vec::new())
            .expect("it may be written");
        Ok(MethodOutcome { summary: "done".to_owned() })
    }
}
