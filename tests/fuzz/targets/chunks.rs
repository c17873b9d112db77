//! Any bytes as a chunked body; the first line says how it is split.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (line, stream) = rooms::first_line(input);
    rooms::handshake::chunks::properties::following_is_sound(stream, &rooms::pieces(line));
});
