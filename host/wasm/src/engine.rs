//! The one configuration of wasmtime: everything that makes or runs native code uses it.
//!
//! An engine is made on first use. Artifacts are kept per engine key: another wasmtime, another configuration or another
//! processor has another key. A second engine compiles faster what then runs slower, and nothing runs on it; what it makes
//! has a key of its own.

use wasmtime::{Config, Engine};

use crate::limits::{FIBRE_STACK_BYTES, GUEST_STACK_BYTES};

/// An engine and what names it.
#[derive(Debug, Clone)]
pub(crate) struct SharedEngine {
    engine: Engine,
    key: String,
}

impl SharedEngine {
    /// Makes the engine.
    pub(crate) fn new() -> wasmtime::Result<Self> {
        Self::of(&configuration())
    }

    /// Compiles in less than half the time, for the first execution of a large component: nothing is optimised, and registers
    /// are chosen in one pass. Wasmtime loads what it makes into any engine of this configuration, one without a compiler too.
    pub(crate) fn quick_compiler() -> wasmtime::Result<Self> {
        Self::of(&quick_configuration())
    }

    fn of(configuration: &Config) -> wasmtime::Result<Self> {
        let engine = Engine::new(configuration)?;
        let key = key(&engine);
        Ok(Self { engine, key })
    }

    /// The same with another key, as another build would have it.
    #[cfg(test)]
    pub(crate) fn with_key(self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self }
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

#[cfg(feature = "compiler")]
fn quick_configuration() -> Config {
    let mut config = configuration();
    config
        .cranelift_opt_level(wasmtime::OptLevel::None)
        .cranelift_regalloc_algorithm(wasmtime::RegallocAlgorithm::SinglePass);
    config
}

#[cfg(not(feature = "compiler"))]
fn quick_configuration() -> Config {
    configuration()
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

    #[test]
    fn code_that_was_compiled_quickly_has_a_key_of_its_own_and_runs_on_the_one_engine() {
        let (engine, quick) = (SharedEngine::new().unwrap(), SharedEngine::quick_compiler().unwrap());
        assert_ne!(engine.key(), quick.key());
        let wasm = wat::parse_str("(component (core module (func (export \"f\"))))").unwrap();
        let native = quick.engine().precompile_component(&wasm).unwrap();
        // SAFETY: it was made by the line before.
        unsafe { wasmtime::component::Component::deserialize(engine.engine(), native) }.unwrap();
    }
}
