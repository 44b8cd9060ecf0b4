//! The one configuration of wasmtime: everything that makes or runs native code uses it.
//!
//! An engine is made on first use, with one thread that moves the epoch on. Artifacts are kept per engine key: another
//! wasmtime, another configuration or another processor has another key.

use std::thread;

use wasmtime::{Config, Engine, EngineWeak};

use crate::limits::{EPOCH_TICK, FIBRE_STACK_BYTES, GUEST_STACK_BYTES};

/// An engine and what names it.
#[derive(Debug, Clone)]
pub(crate) struct SharedEngine {
    engine: Engine,
    key: String,
}

impl SharedEngine {
    /// Makes the engine and starts its epoch thread, which ends when the engine goes.
    pub(crate) fn new() -> wasmtime::Result<Self> {
        let engine = Engine::new(&configuration())?;
        let key = key(&engine);
        let ticking = engine.weak();
        thread::Builder::new().name("peat-epoch".to_owned()).spawn(move || tick(&ticking))?;
        Ok(Self { engine, key })
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What artifacts of this engine are kept under, in hexadecimal.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }
}

fn configuration() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(FIBRE_STACK_BYTES)
        .relaxed_simd_deterministic(true)
        // No names in traps: guests are stripped, and artifacts are a third smaller without.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false);
    // The same bytes on every machine, whatever its processor does with NaN.
    #[cfg(feature = "compiler")]
    config.cranelift_nan_canonicalization(true);
    config
}

/// Without a compiler nothing is kept: native code comes with its own description, which Wasmtime compares with the engine.
#[cfg(not(feature = "compiler"))]
fn key(_: &Engine) -> String {
    "no compiler".to_owned()
}

/// SHA-256 over everything that decides whether native code fits this engine.
#[cfg(feature = "compiler")]
fn key(engine: &Engine) -> String {
    use std::fmt::Write as _;
    use std::hash::{Hash, Hasher};

    use peat_core::digest::{Digest, Hasher as Sha256};

    struct Collect(Sha256);
    impl Hasher for Collect {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut collect = Collect(Sha256::default());
    engine.precompile_compatibility_hash().hash(&mut collect);
    let digest: Digest = collect.0.finish();
    // 128 bits name an engine; shorter paths are kinder to people.
    digest.as_bytes()[..16].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn tick(engine: &EngineWeak) {
    loop {
        thread::sleep(EPOCH_TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_engines_of_one_build_share_their_artifacts() {
        let first = SharedEngine::new().unwrap();
        let second = SharedEngine::new().unwrap();
        assert_eq!(first.key(), second.key());
        assert_eq!(first.key().len(), 32);
    }
}
