;; Has the host write an answer beyond its memory.
(import "peat:host/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
(func $run (result i32) (call $bytes (i32.const 16) (i32.const -8)) (call $ok))
