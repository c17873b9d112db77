//! Any bytes as a log; the first line says how it is cut, and where a credential is planted.
#![no_main]

use rooms::scrub::properties::{replacing_is_sound, scrubbing_is_sound, what_is_planted_is_gone};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (line, text) = rooms::first_line(input);
    scrubbing_is_sound(text, line);
    replacing_is_sound(text, line);
    what_is_planted_is_gone(text, line.first().copied().unwrap_or_default());
});
