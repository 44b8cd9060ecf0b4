;; Hands the host a list of two million empty tags.
(import "peat:host/blobs@0.1.0" "[static]blob.of-bytes" (func $of_bytes (param i32 i32 i32)))
(import "peat:host/data@0.1.0" "write"
  (func $write (param i32 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32)))
(memory (export "memory") 1000)
(func $run (result i32)
  (call $of_bytes (i32.const 1024) (i32.const 4) (i32.const 4096))
  (call $write (i32.const 1024) (i32.const 4) (i32.load (i32.const 4104)) (i32.const 1024) (i32.const 4)
    (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 65536) (i32.const 2000000) (i32.const 4096))
  (call $ok))
