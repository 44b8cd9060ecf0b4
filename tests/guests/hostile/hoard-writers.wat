;; Begins contents without end and finishes none.
(import "peat:host/blobs@0.1.0" "[constructor]writer" (func $writer (result i32)))
(func $run (result i32) (loop (drop (call $writer)) (br 0)) (call $ok))
