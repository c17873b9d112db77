//! What the two ends of a socket are going to do, as a value: it is generated, shrunk, and printed
//! when it fails.

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::select};

use crate::harness::frames::header;

/// One thing that a side does.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// A frame of this opcode with a payload of this many bytes.
    Frame(u8, usize),
    /// A Close frame.
    Close(Option<u16>),
    /// This many bytes that are no frame, and the end of all framing.
    Noise(usize),
    /// The beginning of a frame that never ends.
    Torn,
    /// Milliseconds in which it sends nothing.
    Pause(u64),
}

/// What one side does.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) steps: Vec<Step>,
    /// What it still does behind the peer's end, where it ends second.
    pub(crate) afterwards: Vec<Step>,
    /// The most bytes that it writes at once.
    pub(crate) write: usize,
    /// The most bytes that it reads at once.
    pub(crate) read: usize,
    /// Milliseconds between two reads.
    pub(crate) dawdle: u64,
}

/// How the socket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Each side half-closes when it has sent everything.
    Together,
    /// The client half-closes, and the upstream goes on until it has noticed.
    ClientFirst,
    UpstreamFirst,
    /// The client resets when it has sent everything, whatever it has read, while the upstream goes on.
    ClientResets,
    UpstreamResets,
}

/// What happens on one socket.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) ending: Ending,
    pub(crate) client: Side,
    pub(crate) upstream: Side,
}

/// Any plan whose largest payloads are of this many bytes.
pub(crate) fn plans(large: usize) -> impl Strategy<Value = Plan> {
    let ending = select(vec![
        Ending::Together,
        Ending::ClientFirst,
        Ending::UpstreamFirst,
        Ending::ClientResets,
        Ending::UpstreamResets,
    ]);
    (ending, side(large), side(large)).prop_map(|(ending, mut client, mut upstream)| {
        if ending != Ending::UpstreamFirst {
            client.afterwards.clear();
        }
        if ending != Ending::ClientFirst {
            upstream.afterwards.clear();
        }
        Plan { ending, client, upstream }
    })
}

fn side(large: usize) -> impl Strategy<Value = Side> {
    let size = || prop_oneof![1_usize..=16, 17_usize..=2_000, 2_001_usize..=70_000];
    // Reading byte by byte takes long, and tells nothing that a few bytes at a time do not.
    let read = prop_oneof![500_usize..=3_000, 3_000_usize..=100_000];
    (vec(step(large), 0..10), vec(step(large), 0..4), size(), read, prop_oneof![9 => Just(0), 1 => 1_u64..=3])
        .prop_map(|(steps, afterwards, write, read, dawdle)| Side { steps, afterwards, write, read, dawdle })
}

fn step(large: usize) -> impl Strategy<Value = Step> {
    let data = (select(vec![0_u8, 1, 2]), payload(large));
    let control = (select(vec![9_u8, 10]), 0_usize..=125);
    let code = proptest::option::of(select(vec![1000_u16, 1001, 1011, 1012, 3000, 4001]));
    prop_oneof![
        10 => data.prop_map(|(opcode, length)| Step::Frame(opcode, length)),
        3 => control.prop_map(|(opcode, length)| Step::Frame(opcode, length)),
        3 => (1_u64..=20).prop_map(Step::Pause),
        1 => code.prop_map(Step::Close),
        1 => payload(large).prop_map(Step::Noise),
        1 => Just(Step::Torn),
    ]
}

/// Around the borders of the three forms of a length, and larger than what a relay reads at once.
fn payload(large: usize) -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0_usize..=127,
        4 => 128_usize..=5_000,
        3 => 65_000_usize..=66_000,
        1 => 100_000..=large,
    ]
}

/// What a step comes to.
pub(crate) enum Act {
    Write(Vec<u8>),
    Pause(Duration),
}

/// What the steps come to, for a side whose frames are masked or not. `seed` keeps the bytes of one
/// side and one socket apart from another's.
pub(crate) fn acts(steps: &[Step], is_masked: bool, seed: u64) -> Vec<Act> {
    let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    steps.iter().map(|step| act(step, is_masked, &mut random)).collect()
}

fn act(step: &Step, is_masked: bool, random: &mut u64) -> Act {
    let mut some = |length: usize| -> Vec<u8> {
        (0..length)
            .map(|_| {
                *random ^= *random << 13;
                *random ^= *random >> 7;
                *random ^= *random << 17;
                random.to_be_bytes()[0]
            })
            .collect()
    };
    let mask = if is_masked { some(4) } else { Vec::new() };
    Act::Write(match step {
        Step::Frame(opcode, length) => {
            [header(0x80 | opcode, *length, is_masked), mask, some(*length)].concat()
        }
        Step::Close(None) => [header(0x88, 0, is_masked), mask].concat(),
        Step::Close(Some(code)) => {
            let payload: Vec<u8> = code
                .to_be_bytes()
                .iter()
                .enumerate()
                .map(|(index, byte)| byte ^ mask.get(index).unwrap_or(&0))
                .collect();
            [header(0x88, 2, is_masked), mask, payload].concat()
        }
        // The first byte names an opcode that does not exist.
        Step::Noise(length) => [vec![0x83], some(*length)].concat(),
        Step::Torn => [header(0x82, 1 << 40, is_masked), mask, some(10)].concat(),
        Step::Pause(milliseconds) => return Act::Pause(Duration::from_millis(*milliseconds)),
    })
}

/// All bytes that acts write.
pub(crate) fn bytes(acts: &[Act]) -> Vec<u8> {
    acts.iter()
        .flat_map(|act| match act {
            Act::Write(bytes) => bytes.as_slice(),
            Act::Pause(_) => &[],
        })
        .copied()
        .collect()
}

/// The first Close frame that whoever follows the frames of these steps finds, and its code.
pub(crate) fn first_close<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Option<Option<u16>> {
    for step in steps {
        match step {
            Step::Close(code) => return Some(*code),
            Step::Noise(_) | Step::Torn => return None,
            Step::Frame(..) | Step::Pause(_) => {}
        }
    }
    None
}
