;; Wants a megabyte of random bytes at once, through WASI.
(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
(memory (export "memory") 32)
(func $run (result i32) (drop (call $random (i32.const 1048576) (i32.const 1000000))) (call $ok))
