#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brokkr_fuzz::key(bytes));
