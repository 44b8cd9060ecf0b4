//! Who runs a command, and keeping what it changed where that is not the business of a run.

use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use peat_core::audit::{Actor, AuditEntry, AuditPorts, append};
use peat_core::entry::Lifetime;
use peat_core::identifiers::PartitionName;
use peat_core::ports::HolderIdentity as _;
use peat_store::ProcessIdentity;
use rustix::process::getuid;

use super::{Context, read_text_if_there};
use crate::rendering::Holds;

/// How long sending an entry may take: the command itself is done, and the next sync sends what was not sent.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest name of a user that is kept, in characters.
const USER_CHARACTERS_MAX: usize = 80;

/// Where the system names its users.
const USERS_FILE: &str = "/etc/passwd";

/// Largest such file that is read: a hundred thousand users.
const USERS_FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The audit of one command.
#[derive(Debug)]
pub(super) struct Audit {
    chosen: Option<String>,
    identity: Arc<ProcessIdentity>,
    actor: OnceLock<Actor>,
}

impl Audit {
    /// Of the user whom the environment or the system names, in this process.
    pub(super) fn new(context: &Context, identity: &Arc<ProcessIdentity>) -> Self {
        Self { chosen: context.environment.user.clone(), identity: Arc::clone(identity), actor: OnceLock::new() }
    }

    /// Who runs it. Nobody proves it.
    pub(super) fn actor(&self) -> &Actor {
        self.actor.get_or_init(|| {
            let user =
                self.chosen.clone().or_else(user_of_system).unwrap_or_else(|| format!("uid {}", getuid().as_raw()));
            let user = user.chars().filter(|character| !character.is_control()).take(USER_CHARACTERS_MAX).collect();
            let holder = self.identity.current();
            Actor { user, host: holder.host, pid: holder.pid, command: holder.command }
        })
    }

    /// Appends an entry. What fails is not the command's failure.
    pub(super) async fn append(
        &self,
        ports: &AuditPorts<'_>,
        holds: &Holds,
        (summary, partitions): (&str, &[PartitionName]),
        lifetime: Lifetime,
    ) {
        let holds = holds.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let entry = AuditEntry::new(self.actor().clone(), ports.clock.now_ms(), summary, partitions, &holds);
        match tokio::time::timeout(SEND_TIMEOUT, append(ports, &entry, lifetime)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the audit entry was not sent; the next sync sends it"),
            Err(_) => tracing::debug!("the audit entry was not sent in time; the next sync sends it"),
        }
    }
}

/// The name of the user of this process: as the system's own file has it, else as the environment says.
fn user_of_system() -> Option<String> {
    let users = read_text_if_there(Path::new(USERS_FILE), USERS_FILE_BYTES_MAX).ok().flatten();
    let of_file = users.and_then(|users| user_in(&users, getuid().as_raw()));
    of_file.or_else(|| std::env::var("USER").ok().filter(|user| !user.is_empty()))
}

fn user_in(users: &str, number: u32) -> Option<String> {
    let number = number.to_string();
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_of_a_number_is_found_in_the_file_of_the_system() {
        let users = "root:x:0:0:root:/root:/bin/sh\nbroken\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(user_in(users, 1000).as_deref(), Some("ada"));
        assert_eq!(user_in(users, 0).as_deref(), Some("root"));
        assert_eq!(user_in(users, 7), None);
    }
}
