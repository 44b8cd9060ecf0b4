//! A model as a compiler with a standard library makes it: a WASI preview 1 module behind the usual adapter.
//!
//! It imports what such guests import (`wasi:cli`, `wasi:io`, `wasi:clocks`, `wasi:random`, `wasi:filesystem`), whether
//! it uses it or not, and must run on a host that grants none of their dangerous parts.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::dummy::{wit_directory, with_metadata};

/// What the model prints to standard output; the host owes it to the log.
pub const STANDARD_OUTPUT_LINE: &str = "printed by a standard library";

const METADATA: &str = r#"{"format":1,"name":"@test/standard-library","version":"0.1.0","summary":"Prints a line",
    "models":[{"name":"@test/standard-library","summary":"Prints a line","methods":[
        {"name":"print","summary":"Prints a line, reads the clock, draws a random number"}]}]}"#;

/// A model `@test/standard-library` whose method `print` writes [`STANDARD_OUTPUT_LINE`] to standard output, reads the
/// clock and draws a random number, and ends with the summary "printed". It fails with "the host leaked" when it finds an
/// environment variable, or an open directory in which it can make a file.
pub fn standard_library_model() -> Vec<u8> {
    let mut resolve = Resolve::default();
    for package in ["host", "model"] {
        resolve.push_dir(wit_directory(package)).expect("the contract is sound WIT");
    }
    let source = "package test:guest; world guest { export peat:model/methods@0.1.0; }";
    let package = resolve.push_str("guest.wit", source).expect("the WIT is sound");
    let world = resolve.select_world(&[package], Some("guest")).expect("the WIT declares the world");
    let mut module = wat::parse_str(MODULE).expect("the text is sound");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("a module can carry its world");
    let mut encoder = ComponentEncoder::default();
    encoder
        .module(&module)
        .expect("the module fits its world")
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
        .expect("the adapter fits the encoder");
    with_metadata(encoder.encode().expect("the module becomes a component"), METADATA.as_bytes())
}

/// `run` takes the invocation flat (7 strings, one number) and returns the address of its result: at 0 the case, at 4
/// the first string.
const MODULE: &str = r#"
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get (param i32 i32) (result i32)))
  ;; The adapter keeps its own state, 64 KiB, in memory that it takes from `cabi_realloc`.
  (memory (export "memory") 16)
  (global $free (mut i32) (i32.const 65536))
  (data (i32.const 16) "printed by a standard library\n")
  (data (i32.const 64) "printed")
  (data (i32.const 80) "the host leaked")
  (data (i32.const 96) "the host refused")
  (data (i32.const 112) "made-by-guest")

  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $address i32)
    (local.set $address
      (i32.and
        (i32.sub (i32.add (global.get $free) (local.get $align)) (i32.const 1))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $address) (local.get $size)))
    (memory.copy (local.get $address) (local.get $old) (local.get $old_size))
    (local.get $address))

  (func $answer (param $case i32) (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 256) (local.get $case))
    (i32.store (i32.const 260) (local.get $text))
    (i32.store (i32.const 264) (local.get $length))
    (i32.store8 (i32.const 268) (i32.const 0))
    (i32.const 256))

  (func (export "peat:model/methods@0.1.0#run")
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64) (result i32)
    ;; One iovec at 128: the line at 16, 30 bytes.
    (i32.store (i32.const 128) (i32.const 16))
    (i32.store (i32.const 132) (i32.const 30))
    (if (call $fd_write (i32.const 1) (i32.const 128) (i32.const 1) (i32.const 136))
      (then (return (call $answer (i32.const 1) (i32.const 96) (i32.const 16)))))
    (if (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 144))
      (then (return (call $answer (i32.const 1) (i32.const 96) (i32.const 16)))))
    (if (call $random_get (i32.const 152) (i32.const 8))
      (then (return (call $answer (i32.const 1) (i32.const 96) (i32.const 16)))))
    (if (call $environ_sizes_get (i32.const 160) (i32.const 164))
      (then (return (call $answer (i32.const 1) (i32.const 96) (i32.const 16)))))
    (if (i32.load (i32.const 160))
      (then (return (call $answer (i32.const 1) (i32.const 80) (i32.const 15)))))
    ;; The first open directory would be descriptor 3: create a file there, with the right to write (64).
    (if (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 112) (i32.const 13)
          (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 168)))
      (then (return (call $answer (i32.const 1) (i32.const 80) (i32.const 15)))))
    (call $answer (i32.const 0) (i32.const 64) (i32.const 7)))
)
"#;
