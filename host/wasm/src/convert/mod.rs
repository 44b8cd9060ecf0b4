//! Between generated types and domain types. Going out to a guest is plain; coming in, every value is validated here and
//! nowhere else.

pub(crate) mod entry;
pub(crate) mod errors;
pub(crate) mod exchange;
pub(crate) mod health;
pub(crate) mod lease;
pub(crate) mod maintenance;
pub(crate) mod namespace;
pub(crate) mod profile;
pub(crate) mod text;

/// A value of a guest that breaks a rule: the field and the rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) String);

impl Invalid {
    pub(crate) fn field(field: &str, rule: impl std::fmt::Display) -> Self {
        Self(format!("{field}: {rule}"))
    }
}

/// Result of validating what a guest answered.
pub(crate) type Validated<T> = Result<T, Invalid>;
