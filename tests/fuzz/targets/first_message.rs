//! Any bytes as what a client sends first on a WebSocket; the first line says how it is split.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (line, stream) = rooms::first_line(input);
    rooms::websocket::first_message::properties::taking_out_is_sound(stream, &rooms::pieces(line));
});
