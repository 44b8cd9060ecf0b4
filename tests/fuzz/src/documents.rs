//! What people and tools write: the metadata of extensions, `peat.yaml`, `models/*.yaml`, `peat.lock`.

use peat_core::metadata::Metadata;
use peat_core::repository::{ExtensionGrants, LockFile, Model, RepositoryConfig, SharedDatastore, is_lease_ttl};
use peat_core::schema;
use serde_json::json;

/// The metadata of an extension.
pub(crate) fn metadata(input: &[u8]) -> bool {
    let Ok(metadata) = Metadata::parse(input) else { return false };
    let written = serde_json::to_vec(&metadata).expect("metadata has only string keys");
    assert_eq!(Metadata::parse(&written).as_ref(), Ok(&metadata), "it reads back as something else");
    // Schemas that were accepted can be used.
    for model_type in metadata.model_types() {
        for schema in model_type.methods.iter().map(|method| &method.arguments).chain([&model_type.arguments]) {
            for value in [json!({}), json!({ "path": "a", "top": 3, "a": [1.5, null, "é"] })] {
                if let Err(violations) = schema::validate(schema, &value) {
                    assert!(violations.iter().all(|violation| violation.place != "schema"), "{violations:?}");
                }
            }
        }
    }
    true
}

/// `peat.yaml`.
pub(crate) fn config(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let config = match RepositoryConfig::parse("peat.yaml", text) {
        Ok(config) => config,
        Err(error) => {
            assert!(error.to_string().starts_with("peat.yaml: "), "{error}");
            return false;
        }
    };
    assert_eq!(config.format, 1);
    if let Some(shared) = config.datastore.shared() {
        assert!(is_lease_ttl(shared.lease_ttl));
        let written = serde_json::to_value(shared).expect("it has only string keys");
        let read: SharedDatastore = serde_json::from_value(written).expect("what was written can be read");
        assert_eq!(read, *shared);
    }
    for grants in config.grants.values() {
        let written = serde_json::to_value(grants).expect("it has only string keys");
        let read: ExtensionGrants = serde_json::from_value(written).expect("what was written can be read");
        assert_eq!(read, *grants);
    }
    true
}

/// A model definition.
pub(crate) fn model(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(model) = Model::parse("models/m.yaml", text) else { return false };
    let written = model.to_yaml().expect("what was read can be written");
    let read = Model::parse("models/m.yaml", &written);
    assert_eq!(read.as_ref(), Ok(&model), "it reads back as something else; written was:\n{written}");
    true
}

/// `peat.lock`.
pub(crate) fn lock_file(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(lock) = LockFile::parse("peat.lock", text) else { return false };
    assert_eq!(LockFile::parse("peat.lock", &lock.to_text()).as_ref(), Ok(&lock));
    true
}
