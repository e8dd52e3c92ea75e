//! libFuzzer feeds the target `model`.
#![no_main]

#[allow(dead_code, reason = "the other targets")]
#[path = "../targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| drop(targets::model(input)));
