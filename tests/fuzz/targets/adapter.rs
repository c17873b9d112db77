//! Any bytes as a request head, and what Pingora reads of what goes on; the first line chooses a
//! configuration and a connection.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let (line, head) = rooms::first_line(input);
    let _was_read = rooms::gateway::properties::pingora_reads_what_was_judged(head, &rooms::setting(line));
});
