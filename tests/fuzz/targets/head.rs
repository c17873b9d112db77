//! Any bytes as a request head; the first line chooses a configuration and a connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (line, head) = rooms::first_line(input);
    let _decided = rooms::handshake::properties::judging_is_sound(head, &rooms::setting(line));
});
