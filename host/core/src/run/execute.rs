//! The step in which the method runs, while its lease is kept alive.

use std::pin::pin;
use std::time::Duration;

use futures::future::{BoxFuture, Either, select};

use super::data::StagedData;
use super::log::{BoundedLog, FinishedLog};
use super::open::Opened;
use super::{RunError, RunPorts};
use crate::hold::Held;
use crate::interrupt::Interrupt;
use crate::ports::{DatastoreError, Invocation, MethodError, MethodOutcome};
use crate::repository::Driver;

/// How long a method that can end by itself may take for it: the operator waits, and the commit comes after.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A method that ended, one way or another.
pub(super) struct Executed<'a> {
    pub(super) ending: Ending,
    pub(super) data: StagedData<'a>,
    pub(super) log: FinishedLog,
    pub(super) finished_at_ms: u64,
    pub(super) driver: Driver,
}

/// How it ended.
pub(super) enum Ending {
    Method(Result<MethodOutcome, MethodError>),
    LeaseLost(DatastoreError),
}

pub(super) async fn execute<'a>(
    ports: &RunPorts<'a>,
    opened: &Opened,
    held: &Held,
    interrupt: &Interrupt,
) -> Result<Executed<'a>, RunError> {
    if interrupt.is_triggered() {
        return Err(RunError::Interrupted);
    }
    let invocation = Invocation {
        run_id: opened.run_id.clone(),
        model_id: opened.request.model.id.clone(),
        model_name: opened.request.model.name.clone(),
        model_type: opened.request.model.model_type.clone(),
        method: opened.request.method.clone(),
        model_arguments: opened.request.model.arguments.clone(),
        arguments: opened.request.arguments.clone(),
        deadline: opened.request.timeout,
        held: if ports.executor.starts_processes() { held.share(&ports.hold()) } else { None },
    };
    let data = StagedData::new(ports, opened);
    let log = BoundedLog::begin(ports.store)?;
    let ending = run(ports, held, interrupt, ports.executor.execute(&invocation, &data, &log)).await;
    let log = log.finish()?;
    Ok(Executed { ending, data, log, finished_at_ms: ports.clock.now_ms(), driver: ports.executor.driver() })
}

/// Runs the method to its end, or until the operator or the loss of the lease ends it.
async fn run(
    ports: &RunPorts<'_>,
    held: &Held,
    interrupt: &Interrupt,
    mut method: BoxFuture<'_, Result<MethodOutcome, MethodError>>,
) -> Ending {
    let until_interrupted = async {
        match select(&mut method, pin!(interrupt.wait())).await {
            Either::Left((result, _)) => Some(result),
            Either::Right(_) => None,
        }
    };
    match held.unless_lost(&ports.hold(), until_interrupted).await {
        Ok(Some(result)) => Ending::Method(result),
        Ok(None) => Ending::Method(stop(ports, method).await),
        // What it has to show so far is kept, as uncommitted.
        Err(error) => {
            let _ = stop(ports, method).await;
            Ending::LeaseLost(error)
        }
    }
}

/// Lets a method that can end by itself do so, for a moment.
async fn stop(
    ports: &RunPorts<'_>,
    method: BoxFuture<'_, Result<MethodOutcome, MethodError>>,
) -> Result<MethodOutcome, MethodError> {
    if ports.executor.stop()
        && let Either::Left((result, _)) = select(method, ports.clock.sleep(STOP_TIMEOUT)).await
    {
        return result;
    }
    Err(MethodError::Interrupted)
}
