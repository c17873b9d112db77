//! Any bytes as one direction of a socket; the first line says how it is split.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (line, stream) = rooms::first_line(input);
    rooms::websocket::properties::following_is_sound(stream, &rooms::pieces(line));
});
