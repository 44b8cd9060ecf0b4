;; Ends the program instead of answering.
(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
(memory (export "memory") 16)
(func $run (result i32) (call $exit (i32.const 0)) unreachable)
