//! Any bytes as a request head; the first line chooses a configuration and a connection, and is an agent server's
//! cookie as well.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (line, head) = rooms::first_line(input);
    rooms::handshake::properties::giving_is_sound(line);
    let setting = rooms::setting(line);
    let _judged = rooms::handshake::properties::judging_is_sound(head, &setting);
    let _decided = rooms::handshake::properties::deciding_is_sound(head, &setting);
});
