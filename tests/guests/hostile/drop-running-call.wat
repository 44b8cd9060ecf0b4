;; Drops a host call that is under way.
(import "peat:host/clock@0.1.0" "[async-lower]sleep" (func $sleep (param i64) (result i32)))
(import "$root" "[subtask-drop]" (func $drop (param i32)))
(func $start (result i32)
  (call $drop (i32.shr_u (call $sleep (i64.const 3600000)) (i32.const 4)))
  (i32.const 0))
(func $event (param i32 i32 i32) (result i32) (i32.const 0))
