//! Leases and holders.

use std::time::Duration;

use peat_core::identifiers::{Epoch, PartitionName};
use peat_core::lease::{Holder, Lease, LeasePage, LeaseStatus, Waiter};

use super::text::{line, within};
use super::{Invalid, Validated};
use crate::bindings::imports::interfaces::holders::Holder as GuestHolder;
use crate::bindings::imports::types::Lease as GuestLease;
use crate::bindings::locks::exports::peat::datastore::locks;
use crate::limits::{LEASE_STATE_BYTES_MAX, TEXT_BYTES_MAX};

/// Longest time to live of a lease that is believed: a longer one would block a partition for good.
const LEASE_TTL_MAX: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn to_guest(lease: &Lease) -> GuestLease {
    GuestLease {
        partition: lease.partition.to_string(),
        epoch: lease.epoch.0,
        nonce: lease.nonce.clone(),
        ttl_ms: millis(lease.ttl),
        state: lease.state.clone(),
    }
}

/// A lease that must be for `partition`.
pub(crate) fn from_guest(lease: GuestLease, partition: &PartitionName) -> Validated<Lease> {
    if lease.partition != partition.as_str() {
        return Err(Invalid::field("lease.partition", format!("it must be {partition}")));
    }
    if lease.nonce.is_empty() {
        return Err(Invalid::field("lease.nonce", "it must not be empty"));
    }
    let ttl = Duration::from_millis(lease.ttl_ms);
    if ttl.is_zero() || ttl > LEASE_TTL_MAX {
        return Err(Invalid::field(
            "lease.ttl-ms",
            format!("{} is not between 1 and {}", lease.ttl_ms, millis(LEASE_TTL_MAX)),
        ));
    }
    if lease.state.len() > LEASE_STATE_BYTES_MAX {
        let rule = format!("{} bytes, at most {LEASE_STATE_BYTES_MAX} are allowed", lease.state.len());
        return Err(Invalid::field("lease.state", rule));
    }
    Ok(Lease {
        partition: partition.clone(),
        epoch: Epoch(lease.epoch),
        nonce: within("lease.nonce", lease.nonce, TEXT_BYTES_MAX)?,
        ttl,
        state: lease.state,
    })
}

/// A lease that must be `held` for longer: the same acquisition, or it is somebody else's.
pub(crate) fn renewed_from_guest(lease: GuestLease, held: &Lease) -> Validated<Lease> {
    let renewed = from_guest(lease, &held.partition)?;
    if (renewed.epoch, &renewed.nonce) != (held.epoch, &held.nonce) {
        return Err(Invalid::field("lease", "a renewal keeps epoch and nonce of the acquisition"));
    }
    Ok(renewed)
}

pub(crate) fn holder_to_guest(holder: Holder) -> GuestHolder {
    let Holder { host, boot_id, pid_namespace, pid, process_start, command } = holder;
    GuestHolder { host, boot_id, pid_namespace, pid, process_start, command }
}

pub(crate) fn holder_from_guest(holder: GuestHolder) -> Holder {
    let GuestHolder { host, boot_id, pid_namespace, pid, process_start, command } = holder;
    Holder { host, boot_id, pid_namespace, pid, process_start, command }
}

/// A page of leases, for people: what is shown is cut, what names a lease must be right.
pub(crate) fn page_from_guest(page: locks::StatusPage) -> Validated<LeasePage> {
    let leases = page.leases.into_iter().map(status_from_guest).collect::<Validated<_>>()?;
    let cursor = page.cursor.map(|cursor| within("cursor", cursor, LEASE_STATE_BYTES_MAX)).transpose()?;
    Ok(LeasePage { leases, cursor })
}

fn status_from_guest(status: locks::Status) -> Validated<LeaseStatus> {
    let partition = PartitionName::parse(&status.partition)
        .map_err(|error| Invalid::field("status.partition", error.to_string()))?;
    let shown = |holder: GuestHolder| {
        let holder = holder_from_guest(holder);
        Holder { host: line(&holder.host), command: line(&holder.command), ..holder }
    };
    let waiter = |waiter: locks::Waiter| Waiter { holder: shown(waiter.holder), since_ms: waiter.since_ms };
    Ok(LeaseStatus {
        partition,
        epoch: Epoch(status.epoch),
        nonce: within("status.nonce", status.nonce, TEXT_BYTES_MAX)?,
        holder: shown(status.holder),
        ttl: Duration::from_millis(status.ttl_ms),
        acquired_at_ms: status.acquired_at_ms,
        renewed_at_ms: status.renewed_at_ms,
        stale: status.stale,
        queue: status.queue.into_iter().map(waiter).collect(),
    })
}

/// Whole milliseconds; what does not fit is as good as for ever.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_is_of_the_same_acquisition() {
        let held = Lease {
            partition: PartitionName::parse("model-a").unwrap(),
            epoch: Epoch(3),
            nonce: "mine".to_owned(),
            ttl: Duration::from_secs(30),
            state: vec![1],
        };
        let newer = GuestLease { state: vec![2], ..to_guest(&held) };
        assert_eq!(renewed_from_guest(newer, &held).unwrap().state, [2]);
        for other in [
            GuestLease { nonce: "another's".to_owned(), ..to_guest(&held) },
            GuestLease { epoch: 4, ..to_guest(&held) },
            GuestLease { partition: "model-b".to_owned(), ..to_guest(&held) },
        ] {
            assert!(renewed_from_guest(other, &held).is_err());
        }
    }
}
