;; Logs 100,000 short lines.
(import "peat:host/log@0.1.0" "write" (func $write (param i32 i32 i32)))
(func $run (result i32)
  (local $i i32)
  (loop
    (call $write (i32.const 2) (i32.const 1024) (i32.const 4))
    (local.set $i (i32.add (local.get $i) (i32.const 1)))
    (br_if 0 (i32.lt_u (local.get $i) (i32.const 100000))))
  (call $ok))
