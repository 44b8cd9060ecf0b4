;; Wants a megabyte of random bytes at once.
(import "peat:host/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
(func $run (result i32) (call $bytes (i32.const 1000000) (i32.const 4096)) (call $ok))
