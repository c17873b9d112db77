//! Following frames by their headers alone.

use std::hint::black_box;

use hushgate::websocket::Frames;

use crate::allocations::Benchmarks;

/// As much as a relay reads at once.
const READ: usize = 16 * 1024;

pub(crate) fn following(benchmarks: &mut Benchmarks) {
    let mut group = benchmarks.group("follow");
    let headers = [(&[16][..], 16), (&[126, 4, 0], 1024), (&[126, 0xea, 0x60], 60_000)];
    // A client's frames are masked, a server's are not.
    for (way, flag, mask) in [("", 0, &[][..]), (", masked", 0x80, &[0x37, 0xfa, 0x21, 0x3d])] {
        for (length, payload) in headers {
            let mut frame = vec![0x82];
            frame.extend_from_slice(length);
            if let Some(second) = frame.get_mut(1) {
                *second |= flag;
            }
            frame.extend_from_slice(mask);
            frame.resize(frame.len() + payload, b'x');
            let stream: Vec<u8> = frame.iter().copied().cycle().take(READ).collect();
            group.bytes(stream.len());
            group.bench_without_allocation(&format!("{payload} bytes each{way}"), || {
                let mut frames = Frames::default();
                frames.follow(black_box(&stream));
                frames.is_between()
            });
        }
    }
}
