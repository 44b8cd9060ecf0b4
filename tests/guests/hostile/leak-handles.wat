;; Makes empty blobs without end and drops none.
(import "peat:host/blobs@0.1.0" "[static]blob.of-bytes" (func $of_bytes (param i32 i32 i32)))
(func $run (result i32)
  (loop (call $of_bytes (i32.const 8192) (i32.const 0) (i32.const 4096)) (br 0))
  (call $ok))
