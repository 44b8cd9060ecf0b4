;; Cancels a host call that it never made.
(import "$root" "[subtask-cancel]" (func $cancel (param i32) (result i32)))
(func $start (result i32) (drop (call $cancel (i32.const 4711))) (i32.const 0))
(func $event (param i32 i32 i32) (result i32) (i32.const 0))
