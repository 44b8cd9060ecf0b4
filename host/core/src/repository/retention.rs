//! How long versions are kept, and how many: what the operator and the author of a type say, and who wins.
//!
//! For each data item, lifetime and number of versions apart, the first who says something: the model for this item, the
//! method as it writes it, the type's declaration of the item, the model for all its items, the repository. Nobody: for
//! good, and all of them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::entry::Lifetime;
use crate::identifiers::DataName;
use crate::metadata::DataDeclaration;

/// How long records and logs of runs are kept unless `peat.yaml` says otherwise: a quarter, so that generated reports do not
/// become most of the index.
pub const RUNS_KEPT_DEFAULT: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long audit entries are kept unless `peat.yaml` says otherwise: as long as records of runs, which are the rest of the
/// audit.
pub const AUDIT_KEPT_DEFAULT: Duration = RUNS_KEPT_DEFAULT;

/// How long data is kept, as people write it: `infinite`, `run`, or a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept(pub Lifetime);

/// What is said of a data item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retention {
    /// How long a version is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Kept>,
    /// How many versions are kept, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<NonZeroU32>,
}

/// `retention` of `peat.yaml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RepositoryRetention {
    /// How long a version is kept of which nobody else says anything.
    #[serde(default)]
    pub lifetime: Option<Kept>,
    /// How many versions.
    #[serde(default)]
    pub versions: Option<NonZeroU32>,
    /// How long records and logs of runs are kept.
    #[serde(default)]
    pub runs: Option<Kept>,
    /// How long entries of the audit are kept that are no records of runs.
    #[serde(default)]
    pub audit: Option<Kept>,
}

/// `retention` of a model.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelRetention {
    /// How long a version of any item is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Kept>,
    /// How many versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<NonZeroU32>,
    /// Items by name, `*` for a varying segment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, Retention>,
}

/// Everybody who says something about the data of one run.
#[derive(Debug, Clone, Copy)]
pub struct RetentionRules<'a> {
    /// The model.
    pub model: &'a ModelRetention,
    /// What the type says that the method writes.
    pub declared: &'a [DataDeclaration],
    /// The repository.
    pub repository: &'a RepositoryRetention,
}

impl RetentionRules<'_> {
    /// How long a version of `name` is kept, and how many; `written` is what the method said as it wrote it.
    pub fn of(&self, name: &DataName, written: Option<Lifetime>) -> (Lifetime, Option<u32>) {
        let item =
            self.model.data.iter().find(|(pattern, _)| is_named_by(name.as_str(), pattern)).map(|(_, item)| *item);
        let item = item.unwrap_or_default();
        let declared = self.declared.iter().find(|declared| is_named_by(name.as_str(), &declared.name));
        let declared = declared.map(DataDeclaration::retention).unwrap_or_default();
        let lifetime = (item.lifetime)
            .or(written.map(Kept))
            .or(declared.lifetime)
            .or(self.model.lifetime)
            .or(self.repository.lifetime);
        let versions = item.versions.or(declared.versions).or(self.model.versions).or(self.repository.versions);
        (lifetime.map(|kept| kept.0).unwrap_or_default(), versions.map(NonZeroU32::get))
    }

    /// How long records and logs of runs are kept. They are always committed.
    pub fn of_runs(&self) -> Lifetime {
        outliving(self.repository.runs, RUNS_KEPT_DEFAULT)
    }
}

/// What is said of something that outlives its run, or the default.
fn outliving(said: Option<Kept>, default: Duration) -> Lifetime {
    match said.map(|kept| kept.0) {
        None | Some(Lifetime::Run) => Lifetime::DurationMs(u64::try_from(default.as_millis()).unwrap_or(u64::MAX)),
        Some(lifetime) => lifetime,
    }
}

impl RepositoryRetention {
    /// What is wrong with it.
    pub(super) fn fault(&self) -> Option<String> {
        let of_run = |said| said == Some(Kept(Lifetime::Run));
        if of_run(self.runs) {
            return Some("retention.runs: records of runs outlive them; write a duration or infinite".to_owned());
        }
        of_run(self.audit)
            .then(|| "retention.audit: an audit outlives what it tells of; write a duration or infinite".to_owned())
    }

    /// How long audit entries are kept that are no records of runs.
    pub fn of_audit(&self) -> Lifetime {
        outliving(self.audit, AUDIT_KEPT_DEFAULT)
    }
}

impl ModelRetention {
    /// Nothing is said.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl FromStr for Kept {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "infinite" => return Ok(Self(Lifetime::Infinite)),
            "run" => return Ok(Self(Lifetime::Run)),
            _ => {}
        }
        let wrong =
            || format!("{text:?} is not how long data can be kept; write infinite, run, or a duration such as 30d");
        let duration = humantime::parse_duration(text).map_err(|_| wrong())?;
        match u64::try_from(duration.as_millis()) {
            Ok(milliseconds) if milliseconds > 0 => Ok(Self(Lifetime::DurationMs(milliseconds))),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Lifetime::Infinite => formatter.write_str("infinite"),
            Lifetime::Run => formatter.write_str("run"),
            Lifetime::DurationMs(milliseconds) => {
                fmt::Display::fmt(&humantime::format_duration(Duration::from_millis(milliseconds)), formatter)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Kept {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Kept {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Whether a pattern, in which `*` stands for one segment, names this item.
fn is_named_by(name: &str, pattern: &str) -> bool {
    let (mut names, mut patterns) = (name.split('/'), pattern.split('/'));
    loop {
        match (names.next(), patterns.next()) {
            (None, None) => return true,
            (Some(_), Some("*")) => {}
            (Some(name), Some(pattern)) if name == pattern => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> Kept {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_who_says_something_wins_for_lifetime_and_versions_apart() {
        let text = "lifetime: 7d\nversions: 9\ndata:\n  reports/*: {lifetime: infinite}\n  log: {versions: 2}\n";
        let model: ModelRetention = serde_saphyr::from_str(text).unwrap();
        let declared = [DataDeclaration {
            name: "reports/*".to_owned(),
            summary: String::new(),
            lifetime: Some(kept("1h")),
            versions: NonZeroU32::new(3),
        }];
        let repository = RepositoryRetention { lifetime: Some(kept("30d")), ..RepositoryRetention::default() };
        let rules = RetentionRules { model: &model, declared: &declared, repository: &repository };
        let of = |name: &str, written| rules.of(&DataName::parse(name).unwrap(), written);
        let days = |days: u64| Lifetime::DurationMs(days * 24 * 3_600_000);
        assert_eq!(of("reports/may", Some(Lifetime::Run)), (Lifetime::Infinite, Some(3)));
        assert_eq!(of("log", None), (days(7), Some(2)));
        assert_eq!(of("log", Some(Lifetime::Run)), (Lifetime::Run, Some(2)));
        assert_eq!(of("reports/may/raw", None), (days(7), Some(9)));
        let silent = ModelRetention::default();
        let rules = RetentionRules { model: &silent, declared: &declared, repository: &repository };
        assert_eq!(
            rules.of(&DataName::parse("reports/may").unwrap(), None),
            (Lifetime::DurationMs(3_600_000), Some(3))
        );
        assert_eq!(rules.of(&DataName::parse("log").unwrap(), None), (days(30), None));
        assert_eq!(rules.of_runs(), days(90));
        assert_eq!(repository.of_audit(), days(90));
        let shorter = RepositoryRetention { audit: Some(kept("2d")), ..RepositoryRetention::default() };
        assert_eq!(shorter.of_audit(), days(2));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_can() {
        for wrong in ["", "0s", "soon", "-1d", "Infinite"] {
            assert!(wrong.parse::<Kept>().unwrap_err().contains("write infinite"), "{wrong}");
        }
        for right in ["infinite", "run", "30days", "1h 30m"] {
            assert_eq!(kept(right).to_string(), right);
        }
    }
}
