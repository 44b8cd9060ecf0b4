//! What an operator allows an extension: the `grants:` of `peat.yaml`, and what is still lacking.

use peat_core::metadata::{Metadata, Want};
use peat_core::repository::ExtensionGrants;

use crate::arguments::GrantArgument;
use crate::failure::Failure;

/// Adds the grants of the command line that this extension wants; answers which of them it took.
pub(crate) fn add_grants(grants: &mut ExtensionGrants, metadata: &Metadata, given: &[GrantArgument]) -> Vec<bool> {
    let wants =
        |capabilities: &[&str]| metadata.wants.iter().any(|want| capabilities.contains(&want.capability.as_str()));
    given
        .iter()
        .map(|grant| match grant {
            GrantArgument::Files { name, directory } if wants(&["files"]) => {
                grants.files.insert(name.clone(), directory.clone());
                true
            }
            GrantArgument::Secrets { name, variable } if wants(&["secrets"]) => {
                grants.secrets.insert(name.clone(), variable.clone());
                true
            }
            _ => false,
        })
        .collect()
}

/// The first wanted grant that is not given, as a failure with the command that gives it.
pub(crate) fn lacking(metadata: &Metadata, grants: &ExtensionGrants, file: &str) -> Option<Failure> {
    let denied = |want: &Want, remedy: String| {
        Some(Failure::Denied(format!(
            "extension {} wants {} ({}), which is not granted; {remedy}",
            metadata.name, want.capability, want.reason
        )))
    };
    metadata.wants.iter().find_map(|want| match want.capability.as_str() {
        "files" if grants.files.is_empty() => {
            denied(want, format!("allow it a directory with `peat extension add {file} --grant files:NAME=DIR`"))
        }
        "secrets" if grants.secrets.is_empty() => {
            denied(want, format!("allow it a value with `peat extension add {file} --grant secrets:NAME=VARIABLE`"))
        }
        // Directories and buckets come with the datastore's settings.
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanting(capability: &str) -> Metadata {
        serde_json::from_value(json!({
            "format": 1, "name": "@a/b", "version": "0.1.0", "summary": "s", "models": [],
            "wants": [{ "capability": capability, "reason": "to read Cargo.lock" }]
        }))
        .unwrap()
    }

    #[test]
    fn a_lacking_grant_is_named_with_the_command_that_gives_it() {
        let error = lacking(&wanting("files"), &ExtensionGrants::default(), "b.wasm").unwrap().to_string();
        assert!(error.contains("to read Cargo.lock"), "{error}");
        assert!(error.contains("`peat extension add b.wasm --grant files:NAME=DIR`"), "{error}");
    }

    #[test]
    fn a_grant_is_taken_only_where_it_is_wanted() {
        let grant: GrantArgument = "files:project=.".parse().unwrap();
        let mut grants = ExtensionGrants::default();
        assert_eq!(add_grants(&mut grants, &wanting("secrets"), std::slice::from_ref(&grant)), [false]);
        assert_eq!(grants, ExtensionGrants::default());
        assert_eq!(add_grants(&mut grants, &wanting("files"), &[grant]), [true]);
        assert!(lacking(&wanting("files"), &grants, "b.wasm").is_none());
    }
}
