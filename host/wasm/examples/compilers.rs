//! What the compilers of wasmtime take for a component, for docs/artifacts.md: with the configuration of the host, but for the
//! compiler.
//!
//! `cargo run --release -p peat-wasm --features winch --example compilers -- FILE.wasm…`

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use std::time::{Duration, Instant};

use wasmtime::{Config, Engine, OptLevel, RegallocAlgorithm, Strategy};

/// Each is measured so often, and the shortest counts.
const ROUNDS: usize = 3;

/// How a configuration is called, and what it has beyond the common one.
type Compiler = (&'static str, fn(&mut Config) -> &mut Config);

const COMPILERS: [Compiler; 4] = [
    ("Cranelift, optimising", |config| config.cranelift_opt_level(OptLevel::Speed)),
    ("Cranelift, not optimising", |config| config.cranelift_opt_level(OptLevel::None)),
    ("Cranelift, not optimising, registers in one pass", |config| {
        config.cranelift_opt_level(OptLevel::None).cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass)
    }),
    ("Winch", |config| config.strategy(Strategy::Winch)),
];

fn main() {
    println!("| component | bytes | compiler | s | processor s | bytes of native code |\n|---|---|---|---|---|---|");
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.rsplit('/').next().unwrap_or(&path);
        for (compiler, set) in COMPILERS {
            let mut config = Config::new();
            config
                .wasm_component_model(true)
                .wasm_component_model_async(true)
                .epoch_interruption(true)
                .relaxed_simd_deterministic(true)
                .wasm_backtrace_max_frames(None)
                .generate_address_map(false);
            set(&mut config);
            let engine = match Engine::new(&config) {
                Ok(engine) => engine,
                Err(error) => {
                    println!("| {name} | {} | {compiler} | {error:#} | | |", bytes.len());
                    continue;
                }
            };
            let rounds = (0..ROUNDS).map(|_| compile(&engine, &bytes));
            match rounds.collect::<Result<Vec<_>, _>>() {
                Ok(rounds) => {
                    let (wall, processor, size) = rounds.into_iter().min().unwrap();
                    let (wall, processor) = (wall.as_secs_f64(), processor.as_secs_f64());
                    println!("| {name} | {} | {compiler} | {wall:.3} | {processor:.3} | {size} |", bytes.len());
                }
                Err(error) => println!("| {name} | {} | {compiler} | {error:#} | | |", bytes.len()),
            }
        }
    }
}

/// Wall time, processor time of all threads, bytes of native code.
fn compile(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<(Duration, Duration, usize)> {
    let (began, before) = (Instant::now(), processor_time());
    let size = engine.precompile_component(bytes)?.len();
    Ok((began.elapsed(), processor_time() - before, size))
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
