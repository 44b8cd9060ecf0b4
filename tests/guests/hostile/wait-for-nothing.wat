;; Waits while nothing is under way for it.
(import "$root" "[waitable-set-new]" (func $set (result i32)))
(func $start (result i32) (i32.or (i32.shl (call $set) (i32.const 4)) (i32.const 2)))
(func $event (param i32 i32 i32) (result i32) (i32.const 0))
