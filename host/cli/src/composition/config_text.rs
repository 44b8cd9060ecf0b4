//! Editing one top-level block of `peat.yaml` and leaving every other byte as it is, comments included.
//!
//! The edit works on lines, and then the result is parsed: when anything but the block has changed its meaning, or the
//! block has not become what was wanted, nothing is written and the user is told what to write by hand.

use std::collections::BTreeMap;

use peat_core::identifiers::{ExtensionName, NamespaceName};
use peat_core::repository::{DatastoreConfig, ExtensionGrants, HydrationStrategy, RepositoryConfig, SharedDatastore};
use serde::Serialize;

use crate::failure::Failure;

/// The text with the `grants:` block replaced.
pub(crate) fn with_grants(
    path: &str,
    text: &str,
    grants: &BTreeMap<ExtensionName, ExtensionGrants>,
) -> Result<String, Failure> {
    let mut wanted = RepositoryConfig::parse(path, text)?;
    wanted.grants = grants.clone();
    let block = if grants.is_empty() { String::new() } else { block("grants", grants)? };
    checked(path, replace_block(text, "grants", &block), &block, &wanted)
}

/// The text with the `datastore:` block replaced; none chooses `local`.
pub(crate) fn with_datastore(path: &str, text: &str, shared: Option<&SharedDatastore>) -> Result<String, Failure> {
    let mut wanted = RepositoryConfig::parse(path, text)?;
    let block = match shared {
        Some(shared) => {
            wanted.datastore = DatastoreConfig::Shared(shared.clone());
            block("datastore", shared)?
        }
        None => {
            wanted.datastore = DatastoreConfig::default();
            "datastore: local\n".to_owned()
        }
    };
    checked(path, replace_block(text, "datastore", &block), &block, &wanted)
}

/// The text with `hydrationStrategy` replaced.
pub(crate) fn with_hydration(path: &str, text: &str, strategy: HydrationStrategy) -> Result<String, Failure> {
    let mut wanted = RepositoryConfig::parse(path, text)?;
    wanted.hydration_strategy = strategy;
    let block = block("hydrationStrategy", &strategy)?;
    checked(path, replace_block(text, "hydrationStrategy", &block), &block, &wanted)
}

/// The text with `namespace` replaced.
pub(crate) fn with_namespace(path: &str, text: &str, namespace: &NamespaceName) -> Result<String, Failure> {
    let mut wanted = RepositoryConfig::parse(path, text)?;
    wanted.namespace = namespace.clone();
    let block = format!("namespace: \"{namespace}\"\n");
    checked(path, replace_block(text, "namespace", &block), &block, &wanted)
}

fn block<T: Serialize>(key: &str, value: &T) -> Result<String, Failure> {
    let mut text = serde_saphyr::to_string(&BTreeMap::from([(key, value)]))
        .map_err(|error| Failure::Internal(format!("cannot write {key} as YAML: {error}")))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn checked(path: &str, text: String, block: &str, wanted: &RepositoryConfig) -> Result<String, Failure> {
    match RepositoryConfig::parse(path, &text) {
        Ok(config) if config == *wanted => Ok(text),
        _ => Err(Failure::InvalidInput(format!(
            "{path} is written in a way that cannot be edited safely; put this into it by hand and run the command \
             again:\n{block}"
        ))),
    }
}

/// Replaces the lines of the top-level `key`, or appends them where there is no such key.
fn replace_block(text: &str, key: &str, block: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Some(start) = lines.iter().position(|line| begins_key(line, key)) else {
        let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        return format!("{text}{gap}{block}");
    };
    let mut end = start + 1;
    // Blank lines and comments after the last line of the block belong to what follows.
    for (place, line) in lines.iter().enumerate().skip(start + 1) {
        if is_blank_or_comment(line) {
            continue;
        }
        if !continues_block(line) {
            break;
        }
        end = place + 1;
    }
    [&lines[..start].concat(), block, &lines[end..].concat()].concat()
}

fn begins_key(line: &str, key: &str) -> bool {
    let rest = ["", "\"", "'"]
        .iter()
        .find_map(|quote| line.strip_prefix(quote)?.strip_prefix(key)?.strip_prefix(quote))
        .map(str::trim_start);
    rest.is_some_and(|rest| rest.starts_with(':'))
}

fn is_blank_or_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// Indented lines, and list items or closing brackets that YAML tolerates at the margin.
fn continues_block(line: &str) -> bool {
    line.starts_with([' ', '\t', ']', '}']) || line == "-" || line.starts_with("- ") || line.starts_with("-\n")
}

#[cfg(test)]
mod tests {
    use peat_core::identifiers::GrantName;
    use serde_json::json;

    use super::*;

    const TEXT: &str = "\
# The inventory of our services.
format: 1
id: 0a1b2c3d4e5f

datastore: local  # for now

# What extensions may do.
grants:
  \"@acme/probe\":
    # its configuration
    files:
      config: etc

# How patient we are.
lockTimeout: 90s
";

    fn grants(extension: &str, name: &str, directory: &str) -> BTreeMap<ExtensionName, ExtensionGrants> {
        let files = BTreeMap::from([(GrantName::parse(name).unwrap(), directory.to_owned())]);
        BTreeMap::from([(
            ExtensionName::parse(extension).unwrap(),
            ExtensionGrants { files, ..ExtensionGrants::default() },
        )])
    }

    #[test]
    fn only_the_block_changes() {
        let text = with_grants("peat.yaml", TEXT, &grants("@examples/lockfile", "project", "..")).unwrap();
        let (before, _) = TEXT.split_once("grants:").unwrap();
        assert!(text.starts_with(before), "{text}");
        assert!(text.ends_with("\n\n# How patient we are.\nlockTimeout: 90s\n"), "{text}");
        assert!(!text.contains("@acme/probe"), "{text}");
    }

    #[test]
    fn a_missing_block_is_appended() {
        let text = with_grants("peat.yaml", "format: 1\nid: 0a1b2c3d4e5f", &grants("@a/b", "x", "y: #z")).unwrap();
        assert!(text.starts_with("format: 1\nid: 0a1b2c3d4e5f\ngrants:\n"), "{text}");
        let config = RepositoryConfig::parse("peat.yaml", &text).unwrap();
        assert_eq!(config.grants, grants("@a/b", "x", "y: #z"));
    }

    #[test]
    fn the_last_grant_takes_the_block_with_it() {
        let text = with_grants("peat.yaml", TEXT, &BTreeMap::new()).unwrap();
        assert!(!text.contains("grants:") && text.contains("# What extensions may do."), "{text}");
    }

    #[test]
    fn a_datastore_is_written_and_taken_back() {
        let shared = SharedDatastore {
            extension: ExtensionName::parse("@peat/directory").unwrap(),
            settings: json!({ "path": "/srv/peat: here" }),
            lease_ttl: std::time::Duration::from_secs(90),
            isolation: Some(peat_core::repository::Driver::Process),
        };
        let text = with_datastore("peat.yaml", TEXT, Some(&shared)).unwrap();
        assert_eq!(RepositoryConfig::parse("peat.yaml", &text).unwrap().datastore.shared(), Some(&shared));
        assert!(text.contains("\n\n# What extensions may do.\ngrants:\n"), "{text}");
        let local = with_datastore("peat.yaml", &text, None).unwrap();
        assert_eq!(local, TEXT.replace("datastore: local  # for now", "datastore: local"));
    }

    #[test]
    fn what_cannot_be_edited_safely_is_left_alone_with_a_remedy() {
        let error = with_grants("peat.yaml", "{format: 1, id: 0a1b2c3d4e5f}\n", &grants("@a/b", "x", "y")).unwrap_err();
        assert!(error.to_string().contains("by hand") && error.to_string().contains("grants:"), "{error}");
    }

    #[test]
    fn a_block_that_ends_the_file_without_a_line_end_is_replaced() {
        let text = "format: 1\nid: 0a1b2c3d4e5f\ndatastore: local";
        assert_eq!(with_datastore("peat.yaml", text, None).unwrap(), format!("{text}\n"));
    }
}
