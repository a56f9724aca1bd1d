//! Hands libFuzzer's inputs to the entry point of that name.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| disktime_fuzz::image::run(data));
