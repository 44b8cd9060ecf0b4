;; Reads beyond its memory.
(func $run (result i32) (drop (i32.load (i32.const -4))) (call $ok))
