//! First step: everything that can be refused without touching anything.

use serde_json::Value;

use super::{RunError, RunPorts, RunRequest};
use crate::hold::Wanted;
use crate::identifiers::{CommitId, PartitionName, RunId};
use crate::metadata::Method;
use crate::repository::RetentionRules;
use crate::schema;

/// A request whose method exists and whose arguments fit.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) request: RunRequest,
    pub(super) run_id: RunId,
    pub(super) commit_id: CommitId,
    pub(super) partition: PartitionName,
    pub(super) started_at_ms: u64,
}

impl Opened {
    /// What it must hold.
    pub(super) fn wanted(&self) -> Wanted<'_> {
        Wanted {
            partitions: std::slice::from_ref(&self.partition),
            ttl: self.request.lease_ttl,
            wait: self.request.lock_timeout,
        }
    }

    /// How long what it writes is kept.
    pub(super) fn retention(&self) -> RetentionRules<'_> {
        let request = &self.request;
        let method = request.model_type.methods.iter().find(|method| method.name == request.method);
        RetentionRules {
            model: &request.model.retention,
            declared: method.map(|method| method.writes.as_slice()).unwrap_or_default(),
            repository: &request.retention,
        }
    }

    /// The run's own partition first, then those it reads, each once.
    pub(super) fn scope(&self) -> Vec<PartitionName> {
        let mut scope = vec![self.partition.clone()];
        for partition in self.request.reads.iter().map(|model| model.partition()) {
            if !scope.contains(&partition) {
                scope.push(partition);
            }
        }
        scope
    }
}

pub(super) fn open(ports: &RunPorts<'_>, request: RunRequest) -> Result<Opened, RunError> {
    let method = find(&request)?;
    validate(
        &format!("arguments of model {}", request.model.name),
        &request.model_type.arguments,
        &request.model.arguments,
    )?;
    let what = format!("arguments of {} {}", request.model.name, request.method);
    validate(&what, &method.arguments, &request.arguments)?;
    let started_at_ms = ports.clock.now_ms();
    let mut random = [0; 6];
    ports.random.fill(&mut random);
    let run_id = RunId::new(started_at_ms, random);
    let commit_id = CommitId::parse(run_id.as_str()).expect("run ids and commit ids follow one rule");
    let partition = request.model.partition();
    Ok(Opened { request, run_id, commit_id, partition, started_at_ms })
}

fn find(request: &RunRequest) -> Result<&Method, RunError> {
    request.model_type.methods.iter().find(|method| method.name == request.method).ok_or_else(|| {
        RunError::UnknownMethod {
            model_type: request.model_type.name.to_string(),
            method: request.method.clone(),
            known: request.model_type.methods.iter().map(|method| method.name.as_str()).collect::<Vec<_>>().join(", "),
        }
    })
}

fn validate(what: &str, schema: &Value, value: &Value) -> Result<(), RunError> {
    schema::validate(schema, value).map_err(|violations| RunError::Arguments { what: what.to_owned(), violations })
}
