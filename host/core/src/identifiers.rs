//! Names and identities as types: what was parsed once is never checked again.
//!
//! Every constructor states its rule in its error, so that the message can be shown as it is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A name that does not follow its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not valid: {rule}")]
pub struct InvalidName {
    /// What kind of name it should have been.
    pub what: &'static str,
    /// What was given, cut to a bounded length.
    pub value: String,
    /// The rule it breaks, with the remedy.
    pub rule: &'static str,
}

/// Longest part of a bad name that is repeated in a message, in characters.
const SHOWN_CHARACTERS: usize = 80;

impl InvalidName {
    fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        let mut shown: String = value.chars().take(SHOWN_CHARACTERS).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        Self { what, value: shown, rule }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $rule:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks `value` against the rule of this name.
            pub fn parse(value: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> bool = $check;
                if check(value) { Ok(Self(value.to_owned())) } else { Err(InvalidName::new($what, value, $rule)) }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                Self::parse(&value)
            }
        }

        impl std::str::FromStr for $type {
            type Err = InvalidName;
            fn from_str(value: &str) -> Result<Self, InvalidName> {
                Self::parse(value)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> String {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }
    };
}

/// Lower-case letters, digits and the given separators; begins with a letter or digit; at most `longest` bytes.
fn is_word(value: &str, separators: &[u8], longest: usize) -> bool {
    let bytes = value.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !bytes.is_empty()
        && bytes.len() <= longest
        && plain(&bytes[0])
        && bytes.iter().all(|byte| plain(byte) || separators.contains(byte))
}

/// `@scope/name`, both words.
fn is_scoped(value: &str) -> bool {
    value
        .strip_prefix('@')
        .and_then(|rest| rest.split_once('/'))
        .is_some_and(|(scope, name)| is_word(scope, b"-", 40) && is_word(name, b"-", 60))
}

fn is_identity(value: &str) -> bool {
    (8..=64).contains(&value.len()) && is_word(value, b"-", 64)
}

name!(
    /// Identity of a repository, made by `peat repo init`; the same in every checkout.
    RepositoryId, "repository id",
    "8 to 64 lower-case letters, digits and '-', as `peat repo init` makes it", is_identity
);
name!(
    /// Identity of a model, stable when the model is renamed.
    ModelId, "model id",
    "8 to 64 lower-case letters, digits and '-', as `peat model create` makes it", is_identity
);
name!(
    /// Identity of one method run. Sorts by time of start.
    RunId, "run id",
    "8 to 64 lower-case letters, digits and '-', as `peat run list` shows it", is_identity
);
name!(
    /// Identity of one commit; the same when it is tried again.
    CommitId, "commit id", "8 to 64 lower-case letters, digits and '-'", is_identity
);
name!(
    /// Name of a model, unique in its repository.
    ModelName, "model name",
    "use lower-case letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 80 characters",
    |value| is_word(value, b"._-", 80)
);
name!(
    /// Name of an extension: `@scope/name`.
    ExtensionName, "extension name",
    "write it @scope/name, with lower-case letters, digits and '-'", is_scoped
);
name!(
    /// Name of a model type: `@scope/name` of an extension, or a built-in such as `command/shell`.
    ModelTypeName, "model type",
    "write it @scope/name, @scope/name/part or group/name, with lower-case letters, digits and '-'",
    |value| match value.strip_prefix('@') {
        Some(rest) => matches!(rest.split('/').count(), 2 | 3) && rest.split('/').all(|word| is_word(word, b"-", 60)),
        None => value.split('/').count() == 2 && value.split('/').all(|word| is_word(word, b"-", 60)),
    }
);
name!(
    /// Name of a method of a model type.
    MethodName, "method name",
    "use lower-case letters, digits, '_' and '-', beginning with a letter or digit, at most 60 characters",
    |value| is_word(value, b"_-", 60)
);
name!(
    /// The unit of isolation inside a shared datastore.
    NamespaceName, "namespace",
    "use lower-case letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 80 characters",
    |value| is_word(value, b"._-", 80)
);
name!(
    /// Name of a grant, a secret or a setting of the operator.
    GrantName, "grant name",
    "use lower-case letters, digits, '_' and '-', beginning with a letter or digit, at most 60 characters",
    |value| is_word(value, b"_-", 60)
);

impl NamespaceName {
    /// The namespace of a repository that names none.
    pub fn default_namespace() -> Self {
        Self("default".to_owned())
    }
}

/// Longest data name, in bytes: with partition and prefix an object key stays below what every store takes (1,024).
pub const DATA_NAME_BYTES_MAX: usize = 200;

name!(
    /// Name of a data item of a model: segments joined by `/`. Names that begin with `.run/` belong to the host.
    DataName, "data name",
    "use segments of lower-case letters, digits, '.', '_' and '-' joined by '/'; no segment may begin with a dot, and \
     the whole is at most 200 bytes",
    |value| {
        let inner = value.strip_prefix(RUN_PREFIX).unwrap_or(value);
        value.len() <= DATA_NAME_BYTES_MAX && inner.split('/').all(|segment| is_word(segment, b"._-", DATA_NAME_BYTES_MAX))
    }
);

/// Where the host keeps run records and logs among a model's data.
const RUN_PREFIX: &str = ".run/";

impl DataName {
    /// A name that a guest or a user may write: not one of the host's own.
    pub fn parse_public(value: &str) -> Result<Self, InvalidName> {
        let name = Self::parse(value)?;
        if name.is_reserved() {
            return Err(InvalidName::new("data name", value, "names that begin with '.run/' belong to the host"));
        }
        Ok(name)
    }

    /// The record of a run, among its model's data.
    pub fn run_record(run: &RunId) -> Self {
        Self(format!("{RUN_PREFIX}{run}/record"))
    }

    /// The log of a run, among its model's data.
    pub fn run_log(run: &RunId) -> Self {
        Self(format!("{RUN_PREFIX}{run}/log"))
    }

    /// What a command did that was no run, in [`PartitionName::audit`].
    pub fn audit_entry(id: &RunId) -> Self {
        Self(format!("{RUN_PREFIX}{id}/audit"))
    }

    /// Written by the host itself: run records and logs.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(RUN_PREFIX)
    }
}

name!(
    /// The unit of locking, committing and hydrating. Readable and reversible; safe as a file name.
    PartitionName, "partition",
    "lower-case letters, digits and '.', '_', '-', '@', '+', at most 200 bytes, as `peat datastore status` shows it",
    |value| {
        !value.is_empty()
            && value.len() <= 200
            && value.as_bytes()[0].is_ascii_lowercase()
            && value.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-@+".contains(&byte))
    }
);

impl RunId {
    /// A new one: time in hexadecimal, then randomness. Sorts by time, unique without a registry.
    pub fn new(now_ms: u64, random: [u8; 6]) -> Self {
        let tail: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{now_ms:012x}-{tail}"))
    }
}

impl PartitionName {
    /// The partition of a model: `model--{type}--{id}`, with `/` of the type written `+` (no name contains a `+`).
    pub fn of_model(model_type: &ModelTypeName, id: &ModelId) -> Self {
        Self(format!("model--{}--{id}", model_type.as_str().replace('/', "+")))
    }

    /// The lock of the whole namespace, for datastores that have no leases. Not a partition of data.
    pub fn whole_namespace() -> Self {
        Self("namespace".to_owned())
    }

    /// Where the host appends what commands did that changed something without a run. No model has it.
    pub fn audit() -> Self {
        Self("audit".to_owned())
    }

    /// What the lease of the whole namespace is for. Not a partition of data.
    pub fn structural() -> Self {
        Self("structural".to_owned())
    }

    /// The model this partition belongs to; none for workflows and singles.
    pub fn model(&self) -> Option<(ModelTypeName, ModelId)> {
        let (model_type, id) = self.0.strip_prefix("model--")?.split_once("--")?;
        Some((ModelTypeName::parse(&model_type.replace('+', "/")).ok()?, ModelId::parse(id).ok()?))
    }
}

/// Version of a data item: 1, 2, 3, … Assigned by the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.0)
    }
}

/// Fencing token of a partition: grows with every acquisition, never falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_name_cannot_escape() {
        for bad in
            ["", "..", "a/../b", "/etc/passwd", "a\0b", "a\\b", "C:\\x", "a//b", "a/", ".hidden", "a/.b", "Ä", "A"]
        {
            assert!(DataName::parse(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(DataName::parse(&"a".repeat(4096)).is_err());
        for good in ["packages", "reports/2026-11/summary.json", "a_b-c.d"] {
            assert_eq!(DataName::parse(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn names_of_the_host_are_not_public() {
        let run = RunId::parse("01hzzzzz-abcd").unwrap();
        let record = DataName::run_record(&run);
        assert_eq!(DataName::parse(record.as_str()).unwrap(), record);
        assert!(DataName::parse_public(record.as_str()).is_err());
    }

    #[test]
    fn a_partition_name_leads_back_to_its_model() {
        let id = ModelId::parse("0a1b2c3d4e5f").unwrap();
        for model_type in ["command/shell", "@acme/http-check", "@acme/http-check/probe"] {
            let model_type = ModelTypeName::parse(model_type).unwrap();
            let partition = PartitionName::of_model(&model_type, &id);
            assert_eq!(PartitionName::parse(partition.as_str()).unwrap(), partition);
            assert_eq!(partition.model(), Some((model_type, id.clone())));
        }
    }

    #[test]
    fn a_bad_name_is_shown_bounded() {
        let error = DataName::parse(&"x/../".repeat(2000)).unwrap_err();
        assert!(error.to_string().len() < 400);
    }
}
