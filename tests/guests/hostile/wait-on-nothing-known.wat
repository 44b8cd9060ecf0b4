;; Waits on a set that it never made.
(func $start (result i32) (i32.const 0x12342))
(func $event (param i32 i32 i32) (result i32) (i32.const 0))
