;; Asks for the time without end.
(import "peat:host/clock@0.1.0" "elapsed-ms" (func $elapsed (result i64)))
(func $run (result i32) (loop (drop (call $elapsed)) (br 0)) (call $ok))
