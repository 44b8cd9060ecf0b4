;; Uses a writer as if it were a blob.
(import "peat:host/blobs@0.1.0" "[constructor]writer" (func $writer (result i32)))
(import "peat:host/blobs@0.1.0" "[method]blob.size" (func $size (param i32) (result i64)))
(func $run (result i32) (drop (call $size (call $writer))) (call $ok))
