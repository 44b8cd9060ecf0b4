;; Has the host write what it asked for beyond its memory.
(import "peat:host/random@0.1.0" "bytes" (func $bytes (param i32 i32)))
(global $asked (mut i32) (i32.const 0))
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
  ;; What the call brought is placed well.
  (if (result i32) (global.get $asked) (then (i32.const -16)) (else (i32.const 8192))))
(func $run (result i32)
  (global.set $asked (i32.const 1))
  (call $bytes (i32.const 64) (i32.const 4096))
  (call $ok))
