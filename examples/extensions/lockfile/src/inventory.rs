//! The reading itself: pure, tested natively.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What is in a lock file.
#[derive(Debug)]
pub(crate) struct Inventory {
    /// In the order of the file, which Cargo sorts.
    pub(crate) packages: Vec<Package>,
    /// Names that occur in more than one version.
    pub(crate) duplicates: Vec<Duplicate>,
    /// Totals.
    pub(crate) summary: Summary,
}

/// A package.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Package {
    name: String,
    version: String,
    /// None for a member of the workspace.
    source: Option<String>,
    dependencies: usize,
}

/// A package in more than one version.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Duplicate {
    name: String,
    versions: Vec<String>,
}

/// Totals.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    lock_version: u32,
    packages: usize,
    workspace_members: usize,
    duplicates: usize,
    dependencies: usize,
}

#[derive(Deserialize)]
struct LockFile {
    #[serde(default)]
    version: u32,
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Reads the text of a `Cargo.lock`. The error says where it is not one.
pub(crate) fn of(text: &str) -> Result<Inventory, String> {
    let lock: LockFile = toml::from_str(text)
        .map_err(|error| format!("it is not a Cargo.lock: {}", error.to_string().trim_end().replace('\n', " ")))?;
    if lock.package.is_empty() {
        return Err("it names no package; point `path` at the Cargo.lock of a Rust project".to_owned());
    }
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in &lock.package {
        versions.entry(package.name.clone()).or_default().insert(package.version.clone());
    }
    let duplicates: Vec<Duplicate> = versions
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, versions)| Duplicate { name, versions: versions.into_iter().collect() })
        .collect();
    let summary = Summary {
        lock_version: lock.version,
        packages: lock.package.len(),
        workspace_members: lock.package.iter().filter(|package| package.source.is_none()).count(),
        duplicates: duplicates.len(),
        dependencies: lock.package.iter().map(|package| package.dependencies.len()).sum(),
    };
    let packages = lock
        .package
        .into_iter()
        .map(|Locked { name, version, source, dependencies }| Package {
            name,
            version,
            source,
            dependencies: dependencies.len(),
        })
        .collect();
    Ok(Inventory { packages, duplicates, summary })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
version = 4

[[package]]
name = "own"
version = "0.1.0"
dependencies = ["syn 1.0.0", "syn 2.0.1"]

[[package]]
name = "syn"
version = "1.0.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "00"

[[package]]
name = "syn"
version = "2.0.1"
source = "registry+https://github.com/rust-lang/crates.io-index"
"#;

    #[test]
    fn packages_keep_their_order_and_count_their_dependencies() {
        let inventory = of(LOCK).unwrap();
        let seen: Vec<_> = inventory.packages.iter().map(|p| (p.name.as_str(), p.dependencies)).collect();
        assert_eq!(seen, [("own", 2), ("syn", 0), ("syn", 0)]);
        assert_eq!(inventory.packages[0].source, None);
    }

    #[test]
    fn a_name_in_two_versions_is_a_duplicate() {
        let inventory = of(LOCK).unwrap();
        let versions = vec!["1.0.0".to_owned(), "2.0.1".to_owned()];
        assert_eq!(inventory.duplicates, [Duplicate { name: "syn".to_owned(), versions }]);
    }

    #[test]
    fn the_summary_adds_up() {
        let expected = Summary { lock_version: 4, packages: 3, workspace_members: 1, duplicates: 1, dependencies: 2 };
        assert_eq!(of(LOCK).unwrap().summary, expected);
    }

    #[test]
    fn text_that_is_no_lock_file_is_refused_with_its_place() {
        let broken = of("[[package]]\nname = ").unwrap_err();
        assert!(broken.contains("line 2"), "{broken}");
        assert!(of("[[package]]\nname = \"a\"\n").unwrap_err().contains("version"));
        assert!(of("").unwrap_err().contains("Cargo.lock"));
    }

    #[test]
    fn the_lock_file_of_this_project_is_readable() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../Cargo.lock")).unwrap();
        let inventory = of(&text).unwrap();
        assert!(inventory.packages.iter().any(|package| package.name == "peat-core"));
    }
}
