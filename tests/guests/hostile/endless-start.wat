;; Computes for ever while it is instantiated.
(func $spin (loop (br 0)))
(start $spin)
(func $run (result i32) (call $ok))
