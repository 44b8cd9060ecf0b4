//! Which imports an extension may have, decided by name before anything is compiled.

use peat_core::ports::ExtensionError;

use crate::grants::{Capability, GrantedCapabilities};
use crate::inspect::InspectedKind;

/// The version of every package of the contract.
const CONTRACT_VERSION: &str = "0.1.0";

/// The contract, for remedies.
pub(crate) const CONTRACT: &str = "version 0.1.0 of the contract (wit/)";

/// `peat:host` interfaces that every extension has.
const OF_EVERY_KIND: [&str; 7] = ["errors", "log", "config", "progress", "clock", "random", "blobs"];

/// What else a kind implies. `data` holds types that datastores use; its functions are linked for models alone.
const OF_MODELS: [&str; 1] = ["data"];
const OF_DATASTORES: [&str; 4] = ["data", "objects", "replica", "holders"];

/// WASI 0.2 packages that are harmless because of what stands behind them: a file system has the granted directories and
/// nothing else, so every guest of a standard library may import it.
const HARMLESS_WASI: [&str; 5] = ["wasi:clocks", "wasi:random", "wasi:io", "wasi:cli", "wasi:filesystem"];

/// Why a component cannot be linked, for people: what it imports is not there or has another type.
pub(crate) fn unlinkable(error: &wasmtime::Error) -> String {
    format!(
        "its imports do not fit the contract of this peat: {}; build it again for {CONTRACT}",
        crate::failure::one_line(error)
    )
}

/// Whether `import`, as it is written in the component, may be there.
pub(crate) fn check(
    extension: &str,
    import: &str,
    kind: InspectedKind,
    granted: &GrantedCapabilities,
) -> Result<(), ExtensionError> {
    let refuse = |remedy: String| {
        Err(ExtensionError::NotGranted { extension: extension.to_owned(), import: import.to_owned(), remedy })
    };
    let (path, version) = import.split_once('@').unwrap_or((import, ""));
    let (package, interface) = path.split_once('/').unwrap_or((path, ""));
    match package {
        "peat:host" | "peat:model" | "peat:datastore" if version != CONTRACT_VERSION => Err(ExtensionError::Unusable {
            extension: extension.to_owned(),
            reason: format!(
                "it imports {import}, this peat provides {package}@{CONTRACT_VERSION}; use an extension built for \
                     that, or a peat that fits the extension"
            ),
        }),
        "peat:model" | "peat:datastore" if interface == "types" => Ok(()),
        "peat:host" => {
            let implied: &[&str] = match kind {
                InspectedKind::Models => &OF_MODELS,
                InspectedKind::Datastore => &OF_DATASTORES,
            };
            if OF_EVERY_KIND.contains(&interface) || implied.contains(&interface) {
                return Ok(());
            }
            match interface.parse::<Capability>().ok().filter(|capability| is_for(*capability, kind)) {
                Some(capability) if granted.contains(capability) => Ok(()),
                Some(capability) => refuse(grant_remedy(capability)),
                None => {
                    refuse("no grant makes it available to this kind of extension; use another extension".to_owned())
                }
            }
        }
        _ if HARMLESS_WASI.contains(&package) && is_wasi(version) => Ok(()),
        _ => refuse("peat does not offer it to any extension; use another extension".to_owned()),
    }
}

/// Whether extensions of this kind have a use for a capability at all.
fn is_for(capability: Capability, kind: InspectedKind) -> bool {
    match capability {
        Capability::Files => kind == InspectedKind::Models,
        Capability::Bucket | Capability::Directory => kind == InspectedKind::Datastore,
        Capability::Secrets => true,
    }
}

/// A released 0.2.
fn is_wasi(version: &str) -> bool {
    semver::Version::parse(version)
        .is_ok_and(|version| (version.major, version.minor) == (0, 2) && version.pre.is_empty())
}

fn grant_remedy(capability: Capability) -> String {
    let form = match capability {
        Capability::Files => "files:NAME=DIR",
        Capability::Secrets => "secrets:NAME=VARIABLE",
        Capability::Bucket | Capability::Directory => return format!("it must declare `{capability}` under `wants`"),
    };
    format!("it must declare `{capability}` under `wants`; grant it with `peat extension add FILE --grant {form}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(import: &str, kind: InspectedKind, granted: &[Capability]) -> Result<(), String> {
        let granted = granted.iter().copied().collect();
        check("@test/guest", import, kind, &granted).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_kind_implies_needs_no_grant() {
        use InspectedKind::{Datastore, Models};
        assert_eq!(checked("peat:host/log@0.1.0", Models, &[]), Ok(()));
        assert_eq!(checked("peat:host/data@0.1.0", Models, &[]), Ok(()));
        assert_eq!(checked("peat:host/replica@0.1.0", Datastore, &[]), Ok(()));
        assert_eq!(checked("wasi:cli/stdout@0.2.6", Models, &[]), Ok(()));
        assert_eq!(checked("peat:datastore/types@0.1.0", Datastore, &[]), Ok(()));
    }

    #[test]
    fn an_ungranted_import_is_named_with_the_way_to_grant_it() {
        let models = InspectedKind::Models;
        let error = checked("peat:host/files@0.1.0", models, &[]).unwrap_err();
        assert!(error.contains("peat:host/files@0.1.0") && error.contains("--grant files"), "{error}");
        assert_eq!(checked("peat:host/files@0.1.0", models, &[Capability::Files]), Ok(()));
        assert_eq!(checked("wasi:filesystem/types@0.2.0", models, &[]), Ok(()));
    }

    #[test]
    fn what_no_grant_covers_says_so() {
        let models = InspectedKind::Models;
        for import in [
            "wasi:sockets/tcp@0.2.0",
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:cli/stdout@0.3.0",
            "wasi:cli/stdout@0.2.0-rc-2023-11-10",
            "peat:host/replica@0.1.0",
            "peat:host/bucket@0.1.0",
            "env",
            "",
        ] {
            let error = checked(import, models, &Capability::ALL[..2]).unwrap_err();
            assert!(error.contains("use another extension"), "{import}: {error}");
        }
        for (import, kind) in [
            ("peat:host/directory@0.1.0", models),
            ("peat:host/bucket@0.1.0", models),
            ("peat:host/files@0.1.0", InspectedKind::Datastore),
        ] {
            let error = checked(import, kind, &Capability::ALL).unwrap_err();
            assert!(error.contains("use another extension"), "{import}: {error}");
        }
        let error = checked("peat:host/log@0.2.0", models, &[]).unwrap_err();
        assert!(error.contains("this peat provides peat:host@0.1.0"), "{error}");
    }
}
