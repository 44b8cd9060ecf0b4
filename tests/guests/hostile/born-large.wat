;; A few bytes of file that declare four gibibytes of memory.
(memory (export "memory") 65536)
(func $run (result i32) (call $ok))
