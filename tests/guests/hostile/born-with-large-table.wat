;; A few bytes of file that declare ten million table elements.
(table $t 10000000 funcref)
(func $run (result i32) (call $ok))
