//! Working room that belongs to the thread, so that no stream has to hold any.

use std::cell::RefCell;

/// The most bytes of one record, with its header (RFC 5246 section 6.2.3; TLS 1.3 allows less).
pub(super) const RECORD: usize = 5 + 16 * 1024 + 2048;

/// Room for four records, the most that is sealed or taken in at once.
const SIZE: usize = 4 * RECORD;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Lends the thread's scratch, whatever it holds from before. A stream that runs inside another
/// finds it lent, and gets one for this time only.
pub(super) fn with<T>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => {
            if scratch.len() < SIZE {
                scratch.resize(SIZE, 0);
            }
            work(&mut scratch)
        }
        Err(_) => work(&mut vec![0; SIZE]),
    })
}
