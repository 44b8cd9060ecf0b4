;; Logs lines of 16 MB, seventy of them: more than a gigabyte.
(import "peat:host/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(memory (export "memory") 256)
(func $run (result i32)
  (local $i i32)
  (memory.fill (i32.const 8192) (i32.const 120) (i32.const 16000000))
  (loop
    (call $write (i32.const 2) (i32.const 8192) (i32.const 16000000))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if 0 (i32.lt_u (local.get $i) (i32.const 70))))
  (call $ok))
