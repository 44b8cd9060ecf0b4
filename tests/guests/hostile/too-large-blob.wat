;; Wants a blob of more bytes than one call may bring; ends well when that is refused.
(import "peat:host/blobs@0.1.0" "[static]blob.of-bytes" (func $of_bytes (param i32 i32 i32)))
(memory (export "memory") 20)
(func $run (result i32)
  (call $of_bytes (i32.const 8192) (i32.const 1048577) (i32.const 4096))
  (if (result i32) (i32.load8_u (i32.const 4096)) (then (call $ok)) (else (call $leaked))))
