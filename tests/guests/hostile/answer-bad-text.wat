;; Answers with a summary that is no UTF-8.
(func $run (result i32) (i32.store8 (i32.const 1024) (i32.const 255)) (call $ok))
