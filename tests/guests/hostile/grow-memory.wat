;; Takes memory, a mebibyte at a time, and writes to all of it, until it is refused; then traps.
(func $run (result i32)
  (local $before i32)
  (loop
    (local.set $before (memory.grow (i32.const 16)))
    (if (i32.ne (local.get $before) (i32.const -1))
      (then
        (memory.fill (i32.shl (local.get $before) (i32.const 16)) (i32.const 120) (i32.const 1048576))
        (br 1))))
  unreachable)
