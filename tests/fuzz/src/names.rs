//! Names that become keys and paths.

use peat_chain::keys;
use peat_core::digest::Digest;
use peat_core::identifiers::{
    CommitId, DataName, ExtensionName, GrantName, MethodName, ModelId, ModelName, ModelTypeName, NamespaceName,
    PartitionName, RepositoryId, RunId,
};

/// Most bytes that any name may have.
const NAME_BYTES_MAX: usize = 200;

/// A name of every kind.
pub(crate) fn names(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let accepted = [
        RepositoryId::parse(text).is_ok(),
        ModelId::parse(text).is_ok(),
        RunId::parse(text).is_ok(),
        CommitId::parse(text).is_ok(),
        ModelName::parse(text).is_ok(),
        ExtensionName::parse(text).is_ok(),
        ModelTypeName::parse(text).is_ok(),
        MethodName::parse(text).is_ok(),
        NamespaceName::parse(text).is_ok(),
        GrantName::parse(text).is_ok(),
        DataName::parse(text).is_ok(),
        PartitionName::parse(text).is_ok(),
    ];
    let accepted = accepted.contains(&true);
    if accepted {
        stays_in_its_place(text);
    }
    one_rule_on_both_sides(text);
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.to_string(), text);
    }
    accepted
}

/// Whatever is made of it, it cannot lead anywhere else, and nothing in it has a meaning to a shell or a terminal.
fn stays_in_its_place(text: &str) {
    assert!(!text.is_empty() && text.len() <= NAME_BYTES_MAX);
    assert!(!text.starts_with('/') && !text.ends_with('/'));
    assert!(text.split('/').all(|segment| !segment.is_empty() && segment != "." && segment != ".."));
    assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/._-@+".contains(&byte)));
}

/// The host and the extensions have the rules of keys each for themselves: they must be the same.
fn one_rule_on_both_sides(text: &str) {
    assert_eq!(DataName::parse(text).is_ok(), keys::is_data_name(text), "data name {text:?}");
    let partition = PartitionName::parse(text).is_ok() && text != keys::STRUCTURAL;
    assert_eq!(partition, keys::is_partition(text), "partition {text:?}");
    let namespace = NamespaceName::parse(text).is_ok() && text != keys::STORE_RECORD;
    assert_eq!(namespace, keys::check_namespace(text).is_ok(), "namespace {text:?}");
    for known in [RunId::parse(text).is_ok(), CommitId::parse(text).is_ok()] {
        assert!(!known || keys::is_identity(text), "identity {text:?}");
    }
    if partition && namespace {
        assert_eq!(keys::partition_of_head(text, &keys::head(text, text)), Some(text));
    }
}
