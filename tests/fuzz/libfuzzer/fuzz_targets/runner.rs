#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| peat_fuzz_tests::read("runner", input));
