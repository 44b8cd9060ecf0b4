;; Sleeps longer than any deadline.
(import "peat:host/clock@0.1.0" "sleep" (func $sleep (param i64)))
(func $run (result i32) (call $sleep (i64.const -1)) (call $ok))
