;; Hands the host a string that is no UTF-8.
(import "peat:host/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(data (i32.const 1100) "\ff\fe\fd")
(func $run (result i32) (call $write (i32.const 2) (i32.const 1100) (i32.const 3)) (call $ok))
