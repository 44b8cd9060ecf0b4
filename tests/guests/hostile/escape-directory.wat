;; Opens what lies outside of its granted directory, through WASI: above it, behind a link, by an absolute path, and a new
;; file within. Ends well when all of it is refused, and the file within is there.
(import "wasi_snapshot_preview1" "path_open"
  (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
(memory (export "memory") 16)
(data (i32.const 1100) "../outside.txt")
(data (i32.const 1120) "link")
(data (i32.const 1130) "/etc/passwd")
(data (i32.const 1150) "made-by-guest")
(data (i32.const 1170) "inside.txt")
(data (i32.const 1190) "deeper/../../outside.txt")
(func $try (param $path i32) (param $length i32) (param $flags i32) (param $rights i64) (result i32)
  ;; Follows links.
  (call $open (i32.const 3) (i32.const 1) (local.get $path) (local.get $length) (local.get $flags)
    (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 4096)))
(func $run (result i32)
  (if (i32.eqz (call $try (i32.const 1100) (i32.const 14) (i32.const 0) (i64.const 2))) (then (return (call $leaked))))
  (if (i32.eqz (call $try (i32.const 1120) (i32.const 4) (i32.const 0) (i64.const 2))) (then (return (call $leaked))))
  (if (i32.eqz (call $try (i32.const 1130) (i32.const 11) (i32.const 0) (i64.const 2))) (then (return (call $leaked))))
  (if (i32.eqz (call $try (i32.const 1150) (i32.const 13) (i32.const 1) (i64.const 64))) (then (return (call $leaked))))
  (if (i32.eqz (call $try (i32.const 1170) (i32.const 10) (i32.const 0) (i64.const 64))) (then (return (call $leaked))))
  (if (i32.eqz (call $try (i32.const 1190) (i32.const 24) (i32.const 0) (i64.const 2))) (then (return (call $leaked))))
  ;; What is granted can be read, so that the refusals above are not those of everything.
  (if (call $try (i32.const 1170) (i32.const 10) (i32.const 0) (i64.const 2)) (then (return (call $leaked))))
  (call $ok))
