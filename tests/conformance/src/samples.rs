//! Values for checks: entries, change sets, deltas.

use peat_core::content::{self, SharedContent};
use peat_core::digest::Digest;
use peat_core::entry::{ChangeSet, Description, Entry, Lifetime, NewEntry, Tag, VersionReference};
use peat_core::identifiers::{CommitId, DataName, PartitionName, RunId, Version};
use peat_core::ports::{DeltaMode, PartitionDelta, PulledEntry, PushReceipt};

/// A partition by its name.
pub fn partition(name: &str) -> PartitionName {
    PartitionName::parse(name).unwrap()
}

/// A data name.
pub fn name(name: &str) -> DataName {
    DataName::parse(name).unwrap()
}

/// The `number`th commit id.
pub fn commit_id(number: u64) -> CommitId {
    CommitId::parse(&format!("commit-{number:08}")).unwrap()
}

/// `length` bytes that differ with `seed`.
pub fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(&mut step).take(length.div_ceil(8)).flatten().collect();
    bytes.truncate(length);
    bytes
}

/// A description that fits `bytes`.
pub fn description(data_name: &str, bytes: &[u8]) -> Description {
    Description {
        name: name(data_name),
        size: bytes.len() as u64,
        digest: Digest::of(bytes),
        content_type: "application/json".to_owned(),
        lifetime: Lifetime::DurationMs(86_400_000),
        tags: vec![Tag { name: "of".to_owned(), value: "ä \"test\"".to_owned() }],
        created_at_ms: 1_767_225_600_000,
        run_id: RunId::parse("run-00000001").unwrap(),
        of_failed_run: false,
    }
}

/// A new entry with this content.
pub fn new_entry(data_name: &str, bytes: &[u8]) -> NewEntry {
    NewEntry {
        description: description(data_name, bytes),
        content: content::in_memory(bytes),
        version_cap: None,
        version: None,
    }
}

/// A change set that appends.
pub fn append(commit: u64, to: &str, append: Vec<NewEntry>) -> ChangeSet {
    ChangeSet { commit_id: commit_id(commit), partition: partition(to), append, remove: Vec::new() }
}

/// A reference to a version.
pub fn reference(data_name: &str, version: u64) -> VersionReference {
    VersionReference { name: name(data_name), version: Version(version) }
}

/// A committed entry as a datastore has it.
pub fn entry(data_name: &str, version: u64, bytes: &[u8]) -> Entry {
    let location = format!("pack:{data_name}:{version}");
    Entry { description: description(data_name, bytes), version: Version(version), location }
}

/// News without content.
pub fn delta(of: &str, mode: DeltaMode, version: &str, entries: Vec<Entry>, continues: bool) -> PartitionDelta {
    let entries = entries.into_iter().map(|entry| PulledEntry { entry, content: None }).collect();
    let (partition, version) = (partition(of), version.to_owned());
    PartitionDelta { partition, mode, version, entries, removed: Vec::new(), continues }
}

/// What a datastore answers to a push of `changes` whose entries become `version`.
pub fn receipt(changes: &ChangeSet, version: u64, partition_version: &str) -> PushReceipt {
    let entry = |new: &NewEntry| Entry {
        description: new.description.clone(),
        version: Version(version),
        location: "pack:1".to_owned(),
    };
    let entries = changes.append.iter().map(entry).collect();
    PushReceipt::local(entries, Vec::new(), partition_version.to_owned())
}

/// All bytes of a content.
pub fn read(content: &SharedContent) -> Vec<u8> {
    content::read_all(&**content, 1 << 30).unwrap()
}
