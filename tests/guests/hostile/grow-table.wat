;; Grows a table until it is refused, then traps.
(table $t 1 funcref)
(func $run (result i32)
  (loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 10000)) (i32.const -1))))
  unreachable)
