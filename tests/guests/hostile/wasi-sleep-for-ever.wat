;; Sleeps longer than any deadline, through WASI.
(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
(memory (export "memory") 16)
(func $run (result i32)
  ;; One subscription to the monotonic clock, due in 500 years: nanoseconds at 24, the clock at 16.
  (memory.fill (i32.const 4096) (i32.const 0) (i32.const 48))
  (i32.store (i32.const 4112) (i32.const 1))
  (i64.store (i32.const 4120) (i64.const 0x7fffffffffffffff))
  (drop (call $poll (i32.const 4096) (i32.const 4200) (i32.const 1) (i32.const 4300)))
  (call $ok))
