//! As much of RFC 6455's framing as a load needs.

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
const CLOSE: u8 = 8;

/// Any but zero, so that every proxy and the upstream see real masking.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A whole frame, masked as a client's or bare as a server's.
pub(crate) fn build(opcode: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let flag = if masked { 0x80 } else { 0 };
    let mut frame = vec![0x80 | opcode];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length), _) if length < 126 => frame.push(flag | length),
        (_, Ok(length)) => {
            frame.push(flag | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(flag | 127);
            frame.extend(u64::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    if masked {
        frame.extend(MASK);
        let start = frame.len();
        frame.extend_from_slice(payload);
        unmask(&mut frame[start..], MASK);
    } else {
        frame.extend_from_slice(payload);
    }
    frame
}

pub(crate) fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let mut chunks = payload.chunks_exact_mut(4);
    for chunk in &mut chunks {
        for (byte, mask) in chunk.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

/// What stands before a frame's payload.
#[derive(Clone, Copy)]
pub(crate) struct Header {
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    /// Bytes of the header itself.
    pub(crate) size: usize,
    pub(crate) payload: usize,
}

impl Header {
    /// The header at the beginning of these bytes, if all of it is there.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let [first, second] = *bytes.first_chunk::<2>()?;
        let (payload, mut size) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes(*bytes[2..].first_chunk()?)), 4),
            127 => (usize::try_from(u64::from_be_bytes(*bytes[2..].first_chunk()?)).ok()?, 10),
            short => (usize::from(short), 2),
        };
        let mut mask = None;
        if second & 0x80 != 0 {
            mask = Some(*bytes.get(size..)?.first_chunk()?);
            size += 4;
        }
        Some(Self { opcode: first & 0x0f, mask, size, payload })
    }

    pub(crate) fn is_close(self) -> bool {
        self.opcode == CLOSE
    }
}

/// Follows a stream of frames without keeping what they hold, except for the text of TEXT frames.
#[derive(Default)]
pub(crate) struct Follower {
    header: Vec<u8>,
    current: Option<Header>,
    left: usize,
    /// Payload bytes of binary frames so far.
    pub(crate) bytes: u64,
    /// The last text frame that is complete.
    pub(crate) text: Option<Vec<u8>>,
    building: Vec<u8>,
}

impl Follower {
    pub(crate) fn follow(&mut self, mut input: &[u8]) {
        while !input.is_empty() {
            let header = match self.current {
                Some(header) => header,
                None => {
                    // At most 14 bytes are looked at; those that belong to the payload go back.
                    let held = self.header.len();
                    let taken = input.len().min(14 - held);
                    self.header.extend_from_slice(&input[..taken]);
                    let Some(header) = Header::parse(&self.header) else {
                        input = &input[taken..];
                        continue;
                    };
                    input = &input[header.size - held..];
                    self.header.clear();
                    self.left = header.payload;
                    self.current = Some(header);
                    header
                }
            };
            let (payload, rest) = input.split_at(input.len().min(self.left));
            self.left -= payload.len();
            if header.opcode == TEXT {
                self.building.extend_from_slice(payload);
            } else {
                self.bytes += u64::try_from(payload.len()).unwrap();
            }
            if self.left == 0 {
                self.current = None;
                if header.opcode == TEXT {
                    let mut text = std::mem::take(&mut self.building);
                    if let Some(mask) = header.mask {
                        unmask(&mut text, mask);
                    }
                    self.text = Some(text);
                }
            }
            input = rest;
        }
    }
}
