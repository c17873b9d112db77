//! Any text as a keyring; the first line is what is presented.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (presented, text) = rooms::first_line(input);
    rooms::authenticate::properties::finding_is_sound(&String::from_utf8_lossy(text), presented);
});
