;; Answers with a summary that would drive a terminal.
(data (i32.const 1100) "\1b[2J\1b]0;owned\07\0d\00done")
(func $run (result i32)
  (drop (call $ok))
  (i32.store (i32.const 2052) (i32.const 1100))
  (i32.store (i32.const 2056) (i32.const 20))
  (i32.const 2048))
