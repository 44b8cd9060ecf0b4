;; Says that it was cancelled, which nobody asked it to be.
(import "[export]peat:model/methods@0.1.0" "[task-cancel]" (func $cancelled))
(func $start (result i32) (call $cancelled) (i32.const 0))
(func $event (param i32 i32 i32) (result i32) (i32.const 0))
