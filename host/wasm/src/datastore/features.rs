//! Which optional interfaces can be used: those that are described and exported.

use peat_core::ports::DatastoreFeatures;
use wasmtime::component::Component;

use crate::bindings::datastore::exports::peat::datastore::capabilities::Features;
use crate::inspect::feature_interface;

/// The optional interfaces.
const OPTIONAL: [(&str, Features); 4] = [
    ("locks", Features::LOCKS),
    ("hydration", Features::HYDRATION),
    ("maintenance", Features::MAINTENANCE),
    ("namespaces", Features::NAMESPACES),
];

/// What can be used, and what was described without being there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Usable {
    pub(super) features: DatastoreFeatures,
    pub(super) promised_in_vain: Option<String>,
}

/// What a component exports.
pub(crate) fn exported(component: &Component) -> Features {
    let there = |name: &str| component.get_export_index(None, feature_interface(name)).is_some();
    OPTIONAL.into_iter().filter(|(name, _)| there(name)).fold(Features::empty(), |sum, (_, feature)| sum | feature)
}

/// The intersection.
pub(super) fn usable(described: Features, exported: Features) -> Usable {
    let both = described & exported;
    let missing = described & !exported;
    let promised: Vec<&str> =
        OPTIONAL.into_iter().filter(|(_, feature)| missing.contains(*feature)).map(|(name, _)| name).collect();
    Usable {
        features: DatastoreFeatures {
            locks: both.contains(Features::LOCKS),
            hydration: both.contains(Features::HYDRATION),
            maintenance: both.contains(Features::MAINTENANCE),
            namespaces: both.contains(Features::NAMESPACES),
        },
        promised_in_vain: (!promised.is_empty()).then(|| promised.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_is_used_when_it_is_both_described_and_exported() {
        let usable = usable(Features::LOCKS | Features::HYDRATION, Features::LOCKS | Features::NAMESPACES);
        assert_eq!(usable.features, DatastoreFeatures { locks: true, ..DatastoreFeatures::default() });
        assert_eq!(usable.promised_in_vain.as_deref(), Some("hydration"));
    }
}
