;; Ends its first step with a code that the contract does not have.
(func $start (result i32) (i32.const 9))
(func $event (param i32 i32 i32) (result i32) (i32.const 0))
