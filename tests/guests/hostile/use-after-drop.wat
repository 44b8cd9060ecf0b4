;; Uses a blob that it dropped.
(import "peat:host/blobs@0.1.0" "[static]blob.of-bytes" (func $of_bytes (param i32 i32 i32)))
(import "peat:host/blobs@0.1.0" "[method]blob.size" (func $size (param i32) (result i64)))
(import "peat:host/blobs@0.1.0" "[resource-drop]blob" (func $drop (param i32)))
(func $run (result i32)
  (call $of_bytes (i32.const 1024) (i32.const 4) (i32.const 4096))
  (call $drop (i32.load (i32.const 4104)))
  (drop (call $size (i32.load (i32.const 4104))))
  (call $ok))
