//! Any bytes as an answer to an opening handshake; the first line says how it is split.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (line, stream) = rooms::first_line(input);
    rooms::gateway::takeover::reading_is_sound(stream, &rooms::pieces(line));
});
