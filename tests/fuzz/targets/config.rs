//! Any text as a configuration; the first line is an environment variable laid over it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| {
    let (line, text) = input.split_once('\n').unwrap_or(("", input));
    let _was_taken = rooms::config::properties::reading_is_sound(text, line.split_once('='));
});
