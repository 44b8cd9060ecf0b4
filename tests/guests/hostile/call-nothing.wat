;; Calls an element of a table where no function is.
(type $nothing (func))
(table $t 1 funcref)
(func $run (result i32) (call_indirect $t (type $nothing) (i32.const 0)) (call $ok))
