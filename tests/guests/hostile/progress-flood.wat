;; Reports progress without end.
(import "peat:host/progress@0.1.0" "report" (func $report (param i32 i32 i64 i32 i64 i32)))
(func $run (result i32)
  (local $done i64)
  (loop
    (local.set $done (i64.add (local.get $done) (i64.const 1)))
    (call $report (i32.const 1024) (i32.const 4) (local.get $done) (i32.const 1) (local.get $done) (i32.const 0))
    (br 0))
  (call $ok))
