;; Answers with a summary of 20 MB.
(memory (export "memory") 400)
(func $run (result i32)
  (drop (call $ok))
  (memory.fill (i32.const 8192) (i32.const 120) (i32.const 20000000))
  (i32.store (i32.const 2052) (i32.const 8192))
  (i32.store (i32.const 2056) (i32.const 20000000))
  (i32.const 2048))
