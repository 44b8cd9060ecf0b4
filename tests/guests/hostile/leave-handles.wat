;; Makes a thousand blobs, drops none and answers.
(import "peat:host/blobs@0.1.0" "[static]blob.of-bytes" (func $of_bytes (param i32 i32 i32)))
(func $run (result i32)
  (local $i i32)
  (loop
    (call $of_bytes (i32.const 8192) (i32.const 1000) (i32.const 4096))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if 0 (i32.lt_u (local.get $i) (i32.const 1000))))
  (call $ok))
