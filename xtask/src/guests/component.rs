//! From a core module to a component: canonical ABI through `wit-component`, and the metadata section lifted from the
//! module to the component, where a host finds it without looking inside.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use wasm_encoder::{CustomSection, Section as _};
use wasmparser::{Parser, Payload};
use wit_component::ComponentEncoder;

/// The section that describes an extension to its host.
const METADATA_SECTION: &str = "peat-extension";

/// Raised when the way from module to component changes: everything is then made again.
const RECIPE: u32 = 2;

/// Makes the component of `core` at `target`, unless it is there already. Answers whether it was made.
pub(super) fn make(core: &Path, target: &Path) -> Result<bool> {
    let module = std::fs::read(core).with_context(|| format!("cannot read {}", core.display()))?;
    let digest: String = Sha256::digest(&module).iter().map(|byte| format!("{byte:02x}")).collect();
    let recipe = format!("{RECIPE} {digest}\n");
    let record = target.with_extension("source");
    if target.exists() && std::fs::read_to_string(&record).is_ok_and(|known| known == recipe) {
        return Ok(false);
    }
    write_component(&module, core, target)?;
    std::fs::write(record, recipe)?;
    Ok(true)
}

/// Makes the component of `core` at `target`, whatever is there.
pub(super) fn write(core: &Path, target: &Path) -> Result<()> {
    let module = std::fs::read(core).with_context(|| format!("cannot read {}", core.display()))?;
    write_component(&module, core, target)
}

fn write_component(module: &[u8], core: &Path, target: &Path) -> Result<()> {
    let component = encode(module).with_context(|| format!("cannot make a component of {}", core.display()))?;
    publish(&component, target)
}

/// Puts a component at `target`: under its name it is whole or not there.
pub(super) fn publish(component: &[u8], target: &Path) -> Result<()> {
    let unfinished = target.with_extension("unfinished");
    std::fs::write(&unfinished, component).with_context(|| format!("cannot write {}", unfinished.display()))?;
    std::fs::rename(&unfinished, target).with_context(|| format!("cannot write {}", target.display()))
}

fn encode(module: &[u8]) -> Result<Vec<u8>> {
    let metadata = metadata_of(module)?;
    let module = without_metadata(module)?;
    let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    with_metadata(component, metadata)
}

/// The component with its metadata, which is looked at here and checked by the host when it is installed.
pub(super) fn with_metadata(mut component: Vec<u8>, metadata: &[u8]) -> Result<Vec<u8>> {
    let value: serde_json::Value = serde_json::from_slice(metadata).context("its metadata is not JSON")?;
    for key in ["format", "name", "version", "summary"] {
        if value.get(key).is_none() {
            bail!("its metadata has no {key:?}");
        }
    }
    if value.get("models").is_some() == value.get("datastore").is_some() {
        bail!("its metadata must have either \"models\" or \"datastore\"");
    }
    let section = CustomSection { name: Cow::Borrowed(METADATA_SECTION), data: Cow::Borrowed(metadata) };
    section.append_to(&mut component);
    Ok(component)
}

/// The module without its metadata section, which moves to the component.
fn without_metadata(module: &[u8]) -> Result<Vec<u8>> {
    let mut rest = wasm_encoder::Module::HEADER.to_vec();
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload?;
        if matches!(&payload, Payload::CustomSection(section) if section.name() == METADATA_SECTION) {
            continue;
        }
        if let Some((id, range)) = payload.as_section() {
            wasm_encoder::RawSection { id, data: &module[range] }.append_to(&mut rest);
        }
    }
    Ok(rest)
}

fn metadata_of(module: &[u8]) -> Result<&[u8]> {
    let mut found = None;
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CustomSection(section) = payload?
            && section.name() == METADATA_SECTION
            && found.replace(section.data()).is_some()
        {
            bail!("it has two {METADATA_SECTION} sections; export one extension a crate");
        }
    }
    found.with_context(|| format!("it has no {METADATA_SECTION} section; use export_model! or export_datastore!"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &[u8] = br#"{"format":1,"name":"@test/a","version":"1.0.0","summary":"A","models":[]}"#;

    fn module(sections: &[&[u8]]) -> Vec<u8> {
        let mut module = wasm_encoder::Module::new();
        for data in sections {
            module.section(&CustomSection { name: Cow::Borrowed(METADATA_SECTION), data: Cow::Borrowed(data) });
        }
        module.finish()
    }

    #[test]
    fn metadata_moves_from_the_module_to_the_component() {
        let component = encode(&module(&[METADATA])).unwrap();
        // Of the module inside and of the component, one has it: the bytes occur once, after everything else.
        let occurrences = component.windows(METADATA.len()).filter(|window| *window == METADATA).count();
        assert_eq!((occurrences, component.ends_with(METADATA)), (1, true));
        assert!(Parser::is_component(&component));
    }

    #[test]
    fn missing_double_and_broken_metadata_fail_the_build() {
        for (sections, expected) in [
            (&[][..], "no peat-extension section"),
            (&[METADATA, METADATA][..], "two peat-extension sections"),
            (&[&METADATA[..20]][..], "not JSON"),
            (&[&br#"{"format":1,"name":"@test/a"}"#[..]][..], "\"version\""),
            (&[&br#"{"format":1,"name":"a","version":"1","summary":"s"}"#[..]][..], "\"datastore\""),
        ] {
            let error = format!("{:#}", encode(&module(sections)).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_component_is_made_again_only_when_its_module_changed() {
        let directory = std::env::temp_dir().join(format!("peat-xtask-component-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (core, target) = (directory.join("core.wasm"), directory.join("component.wasm"));
        std::fs::write(&core, module(&[METADATA])).unwrap();
        assert!(make(&core, &target).unwrap());
        assert!(!make(&core, &target).unwrap());
        let renamed = String::from_utf8_lossy(METADATA).replace("@test/a", "@test/b");
        std::fs::write(&core, module(&[renamed.as_bytes()])).unwrap();
        assert!(make(&core, &target).unwrap());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
