;; Asks for the size of a blob that it was never given.
(import "peat:host/blobs@0.1.0" "[method]blob.size" (func $size (param i32) (result i64)))
(func $run (result i32) (drop (call $size (i32.const 4711))) (call $ok))
