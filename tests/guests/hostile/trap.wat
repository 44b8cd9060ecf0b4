;; Traps on purpose.
(func $run (result i32) unreachable)
