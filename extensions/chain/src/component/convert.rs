//! Values of the WIT as values of this crate, and back.

use peat_sdk::bindings::host::peat::host::{errors, holders};
use peat_sdk::datastore as wit;

use crate::error::{Error, ErrorKind};
use crate::ports::Holder;
use crate::types;

pub(super) fn from_host_error(error: errors::Error) -> Error {
    let kind = match error.kind {
        errors::ErrorKind::Conflict => ErrorKind::Conflict,
        errors::ErrorKind::NotFound => ErrorKind::NotFound,
        errors::ErrorKind::Unavailable(retry_ms) => ErrorKind::Unavailable(retry_ms),
        errors::ErrorKind::Denied => ErrorKind::Denied,
        errors::ErrorKind::LeaseLost => ErrorKind::LeaseLost,
        errors::ErrorKind::Held => ErrorKind::Held,
        errors::ErrorKind::Corrupt => ErrorKind::Corrupt,
        errors::ErrorKind::Unsupported => ErrorKind::Unsupported,
        errors::ErrorKind::InvalidConfig => ErrorKind::InvalidConfig,
        errors::ErrorKind::InvalidInput => ErrorKind::InvalidInput,
        errors::ErrorKind::Exhausted => ErrorKind::Exhausted,
        errors::ErrorKind::Cancelled => ErrorKind::Cancelled,
    };
    Error { kind, subject: error.subject, message: error.message }
}

pub(super) fn to_host_error(error: Error) -> errors::Error {
    let kind = match error.kind {
        ErrorKind::Conflict => errors::ErrorKind::Conflict,
        ErrorKind::NotFound => errors::ErrorKind::NotFound,
        ErrorKind::Unavailable(retry_ms) => errors::ErrorKind::Unavailable(retry_ms),
        ErrorKind::Denied => errors::ErrorKind::Denied,
        ErrorKind::LeaseLost => errors::ErrorKind::LeaseLost,
        ErrorKind::Held => errors::ErrorKind::Held,
        ErrorKind::Corrupt => errors::ErrorKind::Corrupt,
        ErrorKind::Unsupported => errors::ErrorKind::Unsupported,
        ErrorKind::InvalidConfig => errors::ErrorKind::InvalidConfig,
        ErrorKind::InvalidInput => errors::ErrorKind::InvalidInput,
        ErrorKind::Exhausted => errors::ErrorKind::Exhausted,
        ErrorKind::Cancelled => errors::ErrorKind::Cancelled,
    };
    errors::Error { kind, subject: error.subject, message: error.message }
}

pub(super) fn from_holder(holder: holders::Holder) -> Holder {
    Holder {
        host: holder.host,
        boot_id: holder.boot_id,
        pid_namespace: holder.pid_namespace,
        pid: holder.pid,
        process_start: holder.process_start,
        command: holder.command,
    }
}

pub(super) fn to_holder(holder: Holder) -> holders::Holder {
    holders::Holder {
        host: holder.host,
        boot_id: holder.boot_id,
        pid_namespace: holder.pid_namespace,
        pid: holder.pid,
        process_start: holder.process_start,
        command: holder.command,
    }
}

pub(super) fn from_lease(lease: wit::Lease) -> types::Lease {
    types::Lease {
        partition: lease.partition,
        epoch: lease.epoch,
        nonce: lease.nonce,
        ttl_ms: lease.ttl_ms,
        state: lease.state,
    }
}

pub(super) fn to_lease(lease: types::Lease) -> wit::Lease {
    wit::Lease {
        partition: lease.partition,
        epoch: lease.epoch,
        nonce: lease.nonce,
        ttl_ms: lease.ttl_ms,
        state: lease.state,
    }
}

pub(super) fn from_reference(reference: wit::VersionReference) -> types::VersionReference {
    types::VersionReference { name: reference.name, version: reference.version }
}

pub(super) fn to_reference(reference: types::VersionReference) -> wit::VersionReference {
    wit::VersionReference { name: reference.name, version: reference.version }
}

pub(super) fn from_lifetime(lifetime: wit::Lifetime) -> types::Lifetime {
    match lifetime {
        wit::Lifetime::Infinite => types::Lifetime::Infinite,
        wit::Lifetime::DurationMs(duration_ms) => types::Lifetime::DurationMs(duration_ms),
        wit::Lifetime::Run => types::Lifetime::Run,
    }
}

pub(super) fn to_entry(entry: types::Entry) -> wit::Entry {
    let description = entry.description;
    wit::Entry {
        name: description.name,
        version: entry.version,
        size: description.size,
        digest: description.digest,
        content_type: description.content_type,
        lifetime: match description.lifetime {
            types::Lifetime::Infinite => wit::Lifetime::Infinite,
            types::Lifetime::DurationMs(duration_ms) => wit::Lifetime::DurationMs(duration_ms),
            types::Lifetime::Run => wit::Lifetime::Run,
        },
        tags: description.tags.into_iter().map(|tag| wit::Tag { name: tag.name, value: tag.value }).collect(),
        created_at_ms: description.created_at_ms,
        run_id: description.run_id,
        of_failed_run: description.of_failed_run,
        location: entry.location,
    }
}
