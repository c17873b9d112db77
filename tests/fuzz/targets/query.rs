//! Any bytes as a request target; the first line chooses the parameters.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (line, target) = rooms::first_line(input);
    let parameters = rooms::setting(line).rules.parameters;
    rooms::handshake::properties::normalising_is_sound(target, &parameters);
});
