;; Traps while a host call is under way.
(import "peat:host/clock@0.1.0" "[async-lower]sleep" (func $sleep (param i64) (result i32)))
(func $start (result i32) (drop (call $sleep (i64.const 3600000))) unreachable)
(func $event (param i32 i32 i32) (result i32) (i32.const 0))
