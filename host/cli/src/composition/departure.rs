//! A local store that was left, and how it comes to be written again.
//!
//! It is marked just before `peat.yaml` chooses another datastore or namespace, and by then takes nothing more. Where that
//! change never came, or was taken back by hand, the repository that made the mark says so, and the mark goes.

use peat_core::identifiers::RepositoryId;
use peat_store::{Departure, SqliteStore};

use super::change_lock::ChangeLock;
use super::{DatastoreChoice, Repository};
use crate::environment::Environment;
use crate::failure::Failure;

/// What is noted in the store that a repository leaves.
pub(crate) fn departure(repository: &Repository, to: &str) -> Departure {
    Departure { to: to.to_owned(), repository: repository.root.clone() }
}

/// Takes the mark off where the repository that made it uses the store. `repository` is the one of this command.
pub(super) fn settle(
    command: &str,
    repository: &Repository,
    choice: &DatastoreChoice,
    store: &SqliteStore,
) -> Result<(), Failure> {
    let Some(departure) = store.departure()? else { return Ok(()) };
    let uses = || uses(&departure, &repository.config.id, choice);
    if !uses() {
        return Ok(());
    }
    // Either somebody is just about to write peat.yaml, or died before.
    let is_ours = repository.is_being_changed_here() && repository.root == departure.repository;
    let _changing = match is_ours {
        true => None,
        false => Some(ChangeLock::take(&departure.repository, command, repository.config.lock_timeout)?),
    };
    if uses() {
        store.enter()?;
    }
    Ok(())
}

/// Whether the repository that left the store has it as its datastore: by its files alone, whatever the environment of this
/// command overrides.
fn uses(departure: &Departure, id: &RepositoryId, choice: &DatastoreChoice) -> bool {
    let found = Repository::open(Some(&departure.repository), &Environment::default());
    found.is_ok_and(|found| {
        found.root == departure.repository
            && found.config.id == *id
            && DatastoreChoice::of(&found).key() == choice.key()
    })
}

#[cfg(test)]
mod tests {
    use peat_store::StoreSettings;

    use super::*;

    #[test]
    fn a_mark_goes_where_its_repository_uses_the_store_and_stays_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let repository = |name: &str, more: &str| {
            let root = directory.path().join(name);
            std::fs::create_dir_all(&root).unwrap();
            std::fs::write(root.join("peat.yaml"), format!("format: 1\nid: 0a1b2c3d4e5f\n{more}")).unwrap();
            Repository::open(Some(&root), &Environment::default()).unwrap()
        };
        let (leaving, other) = (repository("leaving", ""), repository("other", ""));
        let store = SqliteStore::open(&directory.path().join("store"), StoreSettings::default()).unwrap();
        let local = DatastoreChoice::of(&leaving);
        let settled = |repository: &Repository| {
            settle("test", repository, &local, &store).unwrap();
            store.departure().unwrap().is_none()
        };
        // Whoever was about to choose another one died before peat.yaml was written: everybody goes on.
        assert!(store.leave(&departure(&leaving, "elsewhere")).unwrap());
        assert!(settled(&other));
        // It was chosen: what was left stays left, whatever another checkout of the repository still says.
        assert!(store.leave(&departure(&leaving, "elsewhere")).unwrap());
        repository("leaving", "namespace: elsewhere\n");
        assert!(!settled(&other));
        // It was taken back by hand.
        let leaving = repository("leaving", "");
        assert!(settled(&leaving));
        // While it is being changed, whoever wants to know waits for the end of that.
        assert!(store.leave(&departure(&leaving, "elsewhere")).unwrap());
        let changing = Repository::open_for_change(Some(&leaving.root), &Environment::default(), "setup").unwrap();
        let (impatient, mut elsewhere) = (Some(std::time::Duration::ZERO), Environment::default());
        elsewhere.lock_timeout = impatient;
        let waiting = Repository::open(Some(&other.root), &elsewhere).unwrap();
        assert!(matches!(settle("test", &waiting, &local, &store), Err(Failure::Locked(_))));
        assert!(settled(&changing));
        // Another repository may have come to that place.
        assert!(store.leave(&departure(&leaving, "elsewhere")).unwrap());
        drop(changing);
        std::fs::write(leaving.root.join("peat.yaml"), "format: 1\nid: f5e4d3c2b1a0\n").unwrap();
        assert!(!settled(&other));
    }
}
