//! Files that are no extension, or not one that may be installed: each is refused for its own reason, before anything of
//! it runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use peat_core::ports::ExtensionError;
use peat_test_guests as guests;
use peat_wasm::{COMPONENT_BYTES_MAX, Capability, GrantedCapabilities};

use world::World;

fn refused(bytes: &[u8], granted: &[Capability]) -> ExtensionError {
    let granted = granted.iter().copied().collect();
    World::new().host.inspect("some.wasm", bytes, &granted).expect_err("it was accepted")
}

#[track_caller]
fn assert_unusable(bytes: &[u8], because: &str) {
    let error = refused(bytes, &Capability::ALL);
    assert!(matches!(error, ExtensionError::Unusable { .. }), "{error}");
    assert!(error.to_string().contains(because) && error.to_string().contains("some.wasm"), "{error}");
    assert!(error.to_string().len() < 1000, "{} bytes of message", error.to_string().len());
}

async fn typecheck(bytes: Vec<u8>) -> Result<(), ExtensionError> {
    let world = World::new();
    let granted = GrantedCapabilities::default();
    let inspected = world.host.inspect("some.wasm", &bytes, &granted)?;
    world.host.typecheck("some.wasm", bytes, &inspected, &granted).await
}

#[test]
fn what_is_no_component_is_refused_by_what_it_is() {
    assert_unusable(b"", "not a WebAssembly file");
    assert_unusable(&guests::not_wasm(), "not a WebAssembly file");
    assert_unusable(&guests::core_module(), "core module, not a component");
    assert_unusable(&guests::truncated(), "truncated or damaged");
    assert_unusable(&guests::empty_component(), "carries no metadata");
    assert_unusable(&vec![0; COMPONENT_BYTES_MAX + 1], "more than the 67108864 allowed");
}

#[test]
fn a_component_cut_anywhere_is_refused_and_never_a_panic() {
    let whole = guests::sound_model();
    for length in 0..whole.len() {
        let host = World::new().host;
        let all = GrantedCapabilities::from_iter(Capability::ALL);
        assert!(host.inspect("some.wasm", &whole[..length], &all).is_err(), "{length} bytes were accepted");
    }
}

#[test]
fn a_component_with_any_byte_changed_is_never_a_panic() {
    let whole = guests::sound_model();
    let host = World::new().host;
    let all = GrantedCapabilities::from_iter(Capability::ALL);
    for place in 0..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 0x41;
        let _ = host.inspect("some.wasm", &changed, &all);
    }
}

#[test]
fn metadata_that_cannot_be_used_is_refused() {
    assert_unusable(&guests::model_without_metadata(), "carries no metadata");
    assert_unusable(&guests::model_with_two_metadata_sections(), "more than once");
    assert_unusable(&guests::metadata_that_is_no_json(), "does not parse");
    assert_unusable(&guests::metadata_of_another_format(), "format");
    assert_unusable(&guests::metadata_with_an_unknown_key(), "does not parse");
    assert_unusable(&guests::metadata_naming_a_method_twice(), "declared twice");
    assert_unusable(&guests::metadata_too_large(), "bytes");
}

#[test]
fn a_missing_export_is_named() {
    assert_unusable(&guests::model_without_methods(), "does not export peat:model/methods@0.1.0");
    assert_unusable(&guests::datastore_without_sync(), "does not export peat:datastore/sync@0.1.0");
    assert_unusable(&guests::datastore_claiming_locks(), "promises \"locks\"");
}

#[test]
fn a_component_of_too_many_names_is_refused_before_they_are_kept() {
    let exports: String = (0..1001).map(|number| format!("(export \"e{number}\" (type $t))")).collect();
    let bytes = wat::parse_str(format!("(component (type $t u8) {exports})")).unwrap();
    assert_unusable(&bytes, "more than 1000 imports or exports");
}

#[test]
fn an_ungranted_import_is_named_with_its_remedy() {
    for (import, remedy) in [
        ("peat:host/files@0.1.0", "--grant files"),
        ("peat:host/secrets@0.1.0", "--grant secrets"),
        ("wasi:sockets/tcp@0.2.6", "peat does not offer it"),
        ("wasi:http/outgoing-handler@0.2.6", "peat does not offer it"),
        ("peat:host/directory@0.1.0", "no grant makes it available to this kind"),
        ("peat:host/replica@0.1.0", "no grant makes it available to this kind"),
    ] {
        let error = refused(&guests::model_importing(import), &[]);
        assert!(matches!(&error, ExtensionError::NotGranted { import: found, .. } if found == import), "{error}");
        assert!(error.to_string().contains(remedy) && error.to_string().contains("some.wasm"), "{error}");
    }
}

#[test]
fn a_sound_component_says_what_it_is() {
    let bytes = guests::sound_model();
    let inspected = World::new().host.inspect("some.wasm", &bytes, &GrantedCapabilities::default()).unwrap();
    assert!(inspected.exports.contains(&"peat:model/methods@0.1.0".to_owned()), "{:?}", inspected.exports);
    assert_eq!(inspected.digest, world::digest(&bytes));
    assert_eq!(inspected.size, bytes.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_components_fit_the_contract_by_type() {
    typecheck(guests::sound_model()).await.unwrap();
    typecheck(guests::sound_datastore()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_of_another_type_is_refused_when_it_is_installed() {
    let error = typecheck(guests::model_of_another_type()).await.unwrap_err();
    assert!(matches!(error, ExtensionError::Unusable { .. }), "{error}");
    for words in ["some.wasm", "peat:model/methods@0.1.0", "do not fit the contract", "build it again"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_of_another_type_is_refused_when_it_is_installed() {
    // Allowed by its name, and nothing like what the host has under it.
    let error = typecheck(guests::model_importing("wasi:clocks/wall-clock@0.2.6")).await.unwrap_err();
    assert!(matches!(error, ExtensionError::Unusable { .. }), "{error}");
    for words in ["some.wasm", "wasi:clocks/wall-clock", "touch", "build it again"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}
