;; Finishes a content twice; ends well when the second time is refused.
(import "peat:host/blobs@0.1.0" "[constructor]writer" (func $writer (result i32)))
(import "peat:host/blobs@0.1.0" "[method]writer.finish" (func $finish (param i32 i32)))
(func $run (result i32)
  (local $writer i32)
  (local.set $writer (call $writer))
  (call $finish (local.get $writer) (i32.const 4096))
  (call $finish (local.get $writer) (i32.const 4096))
  (if (result i32) (i32.load8_u (i32.const 4096)) (then (call $ok)) (else (call $leaked))))
