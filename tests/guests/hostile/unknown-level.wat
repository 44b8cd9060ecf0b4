;; Logs at a level that the contract does not have.
(import "peat:host/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(func $run (result i32) (call $write (i32.const 77) (i32.const 1024) (i32.const 4)) (call $ok))
