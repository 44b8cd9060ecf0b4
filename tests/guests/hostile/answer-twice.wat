;; Answers two times.
(import "[export]peat:model/methods@0.1.0" "[task-return]run" (func $answer (param i32 i32 i32 i32)))
(func $start (result i32)
  (call $answer (i32.const 0) (i32.const 1024) (i32.const 4) (i32.const 0))
  (call $answer (i32.const 0) (i32.const 1024) (i32.const 4) (i32.const 0))
  (i32.const 0))
(func $event (param i32 i32 i32) (result i32) (i32.const 0))
