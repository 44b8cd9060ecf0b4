;; Slices a mebibyte, and slices the slice, without end.
(import "peat:host/blobs@0.1.0" "[static]blob.of-bytes" (func $of_bytes (param i32 i32 i32)))
(import "peat:host/blobs@0.1.0" "[method]blob.slice" (func $slice (param i32 i64 i64 i32)))
(memory (export "memory") 20)
(func $run (result i32)
  (call $of_bytes (i32.const 8192) (i32.const 1048576) (i32.const 4096))
  (loop
    (call $slice (i32.load (i32.const 4104)) (i64.const 0) (i64.const 1048576) (i32.const 4096))
    (br 0))
  (call $ok))
