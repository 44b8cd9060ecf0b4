;; Answers and ends while a host call of an hour is under way.
(import "peat:host/clock@0.1.0" "[async-lower]sleep" (func $sleep (param i64) (result i32)))
(import "[export]peat:model/methods@0.1.0" "[task-return]run" (func $answer (param i32 i32 i32 i32)))
(func $start (result i32)
  (drop (call $sleep (i64.const 3600000)))
  (call $answer (i32.const 0) (i32.const 1024) (i32.const 4) (i32.const 0))
  (i32.const 0))
(func $event (param i32 i32 i32) (result i32) (i32.const 0))
