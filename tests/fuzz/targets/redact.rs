//! Any bytes as a request target to redact; the first line stands where something is hidden.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (filler, target) = rooms::first_line(input);
    rooms::access_log::properties::redacting_is_sound(target, filler);
});
