//! Files that claim to be extensions: what the host reads of them before anything is compiled.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use peat_core::metadata::{Metadata, SECTION};
use peat_core::ports::{Clock, Random};
use peat_wasm::{GrantedCapabilities, Host, HostOptions, Limits};
use wasm_encoder::{Component, CustomSection, Section as _};

/// A file as it is, or, where it does not begin like one, the metadata of a component that has nothing else.
pub(crate) fn component(input: &[u8]) -> bool {
    let host = host();
    let inspect = |bytes: &[u8]| host.inspect("input.wasm", bytes, &GrantedCapabilities::default());
    if !input.starts_with(b"\0asm") {
        let mut component = Component::new().finish();
        CustomSection { name: SECTION.into(), data: input.into() }.append_to(&mut component);
        let refused = inspect(&component).expect_err("it exports nothing").to_string();
        // The section is found and read: what is missed is what comes behind it.
        let read = Metadata::parse(input).is_ok();
        assert_eq!(read, refused.contains("does not export"), "{refused}");
        return read;
    }
    match inspect(input) {
        Ok(inspected) => {
            assert_eq!(inspected.size, input.len() as u64);
            let written = serde_json::to_vec(&inspected.metadata).expect("metadata has only string keys");
            assert_eq!(Metadata::parse(&written).as_ref(), Ok(&inspected.metadata));
            true
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("input.wasm") && !text.contains(['\n', '\u{1b}']), "{text:?}");
            false
        }
    }
}

/// A host that only inspects: it touches no file.
fn host() -> Host {
    Host::new(HostOptions {
        cache_dir: "cache".into(),
        cache_bytes_max: 0,
        quick_bytes_min: None,
        key_file: "key".into(),
        limits: Limits::default(),
        clock: Arc::new(Unused),
        random: Arc::new(Unused),
    })
}

/// Ports that inspecting does not ask.
struct Unused;

#[async_trait]
impl Clock for Unused {
    fn now_ms(&self) -> u64 {
        0
    }

    fn elapsed_ms(&self) -> u64 {
        0
    }

    async fn sleep(&self, _: Duration) {}
}

impl Random for Unused {
    fn fill(&self, _: &mut [u8]) {}
}
