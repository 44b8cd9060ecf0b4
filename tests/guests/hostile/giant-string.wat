;; Hands the host a string of 20 MB.
(import "peat:host/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(memory (export "memory") 400)
(func $run (result i32) (call $write (i32.const 2) (i32.const 8192) (i32.const 20000000)) (call $ok))
