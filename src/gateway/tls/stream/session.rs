//! rustls's part of a stream: records in and plaintext out, plaintext in and records out. It does
//! no I/O.

use std::io;

use bytes::{Buf, BytesMut};
use rustls::{
    ProtocolVersion,
    unbuffered::{
        AppDataRecord, ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus,
        WriteTraffic,
    },
};
use tokio::io::ReadBuf;

use super::{scratch::RECORD, side::Side};

/// The most plaintext in one record.
const FRAGMENT: usize = 16 * 1024;

/// One side's state of TLS, and what of its input cannot be used yet.
pub(super) struct Session<C> {
    tls: C,
    /// What came of a record, or of a message of the handshake in several records, whose end is
    /// still to come. Everything before was taken in.
    incomplete: Vec<u8>,
    /// Plaintext that its reader had no room for.
    ahead: BytesMut,
    has_ended: bool,
    has_failed: bool,
}

impl<C: Side> Session<C> {
    pub(super) fn new(tls: C) -> Box<Self> {
        Box::new(Self {
            tls,
            incomplete: Vec::new(),
            ahead: BytesMut::new(),
            has_ended: false,
            has_failed: false,
        })
    }

    /// Puts what a side says first, if it is the one that begins, into `sealed`.
    pub(super) fn begin(&mut self, sealed: &mut BytesMut) -> io::Result<()> {
        self.advance(&mut [], &mut ReadBuf::new(&mut []), sealed, |_| ()).map(|_| ()).map_err(invalid)
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.state().is_handshaking()
    }

    /// Whether the peer has ended its direction, and all before it was delivered.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended && self.ahead.is_empty()
    }

    /// How much of the input waits for more.
    pub(super) fn kept(&self) -> usize {
        self.incomplete.len()
    }

    /// How much of the input there should be, with what is kept, to fill a reader's `room`: not
    /// more, since it would have to be kept; but always enough for a record.
    pub(super) fn wanted(&self, room: usize) -> usize {
        if self.incomplete.len() >= RECORD {
            return usize::MAX;
        }
        let overhead = match self.tls.state().protocol_version() {
            // Header, tag, and the byte that says what it is.
            Some(ProtocolVersion::TLSv1_3) => 5 + 16 + 1,
            // Header, nonce, tag.
            Some(_) | None => 5 + 8 + 16,
        };
        room.saturating_add(room.div_ceil(FRAGMENT).saturating_mul(overhead)).max(RECORD)
    }

    /// Gives a reader what was kept for it.
    pub(super) fn deliver(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let length = self.ahead.len().min(buf.remaining());
        buf.put_slice(self.ahead.get(..length).unwrap_or_default());
        self.ahead.advance(length);
        if self.ahead.is_empty() {
            self.ahead = BytesMut::new();
        }
        if self.has_failed && length == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(())
    }

    /// Takes in every whole record. `records` begins with room for what was kept, and goes on with
    /// what was read behind it. What is to be answered comes into `sealed`.
    pub(super) fn take_in(
        &mut self,
        records: &mut [u8],
        buf: &mut ReadBuf<'_>,
        sealed: &mut BytesMut,
    ) -> io::Result<()> {
        if let Some(kept) = records.get_mut(..self.incomplete.len()) {
            kept.copy_from_slice(&self.incomplete);
        }
        match self.advance(records, buf, sealed, |_| ()) {
            Ok((used, _)) => {
                let rest = if self.has_ended { None } else { records.get(used..) };
                self.incomplete = rest.unwrap_or_default().to_vec();
                Ok(())
            }
            Err(error) => {
                self.has_failed = true;
                self.incomplete = Vec::new();
                self.last_words(sealed);
                Err(invalid(error))
            }
        }
    }

    /// Seals `plaintext` into `out`, and returns how much of it was filled. What has to go before it
    /// comes into `sealed`.
    pub(super) fn seal(
        &mut self,
        plaintext: &[u8],
        out: &mut Vec<u8>,
        sealed: &mut BytesMut,
    ) -> io::Result<usize> {
        self.write(sealed, |mut traffic| large_enough(out, |out| traffic.encrypt(plaintext, out)))?
            .unwrap_or_else(|| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Puts the `close_notify` into `sealed`, unless a last word was said already.
    pub(super) fn seal_end(&mut self, sealed: &mut BytesMut) -> io::Result<()> {
        if self.has_failed {
            return Ok(());
        }
        let mut out = vec![0; 64];
        let length =
            self.write(sealed, |mut traffic| large_enough(&mut out, |out| traffic.queue_close_notify(out)))?;
        sealed.extend_from_slice(out.get(..length.unwrap_or(Ok(0))?).unwrap_or_default());
        Ok(())
    }

    fn write<T>(
        &mut self,
        sealed: &mut BytesMut,
        write: impl FnOnce(WriteTraffic<'_, C::Data>) -> T,
    ) -> io::Result<Option<T>> {
        if self.has_failed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // rustls looks at what it has seen of the input, so it must be shown that again.
        let mut incomplete = std::mem::take(&mut self.incomplete);
        let advanced = self.advance(&mut incomplete, &mut ReadBuf::new(&mut []), sealed, write);
        let (used, written) = advanced.map_err(invalid)?;
        incomplete.drain(..used.min(incomplete.len()));
        self.incomplete = incomplete;
        Ok(written)
    }

    /// Has rustls go on until it needs more input, and lets `write` have its turn if the handshake
    /// is done. Returns how much of `records` was used up.
    fn advance<T>(
        &mut self,
        records: &mut [u8],
        buf: &mut ReadBuf<'_>,
        sealed: &mut BytesMut,
        write: impl FnOnce(WriteTraffic<'_, C::Data>) -> T,
    ) -> Result<(usize, Option<T>), rustls::Error> {
        let mut used = 0;
        loop {
            let rest = records.get_mut(used..).unwrap_or_default();
            let UnbufferedStatus { mut discard, state, .. } = self.tls.process(rest);
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let AppDataRecord { discard: more, payload, .. } = record?;
                        discard += more;
                        let (now, later) =
                            payload.split_at_checked(buf.remaining()).unwrap_or((payload, &[]));
                        buf.put_slice(now);
                        self.ahead.extend_from_slice(later);
                    }
                }
                ConnectionState::EncodeTlsData(mut message) => encode(&mut message, sealed),
                // It was put where it leaves in order.
                ConnectionState::TransmitTlsData(messages) => messages.done(),
                ConnectionState::PeerClosed => self.has_ended = true,
                ConnectionState::BlockedHandshake | ConnectionState::Closed => {
                    return Ok((used + discard, None));
                }
                ConnectionState::WriteTraffic(traffic) => {
                    return Ok((used + discard, Some(write(traffic))));
                }
                // It is never offered, since a client's early data may be sent again by anybody.
                ConnectionState::ReadEarlyData(_) => {
                    return Err(rustls::Error::General("early data".to_owned()));
                }
                _ => return Err(rustls::Error::General("an unknown state".to_owned())),
            }
            used += discard;
        }
    }

    /// Puts the alert that says what was wrong into `sealed`.
    fn last_words(&mut self, sealed: &mut BytesMut) {
        // What waits to be sent comes before any input is looked at.
        while self.tls.state().wants_write() {
            let Ok(ConnectionState::EncodeTlsData(mut message)) = self.tls.process(&mut []).state else {
                return;
            };
            encode(&mut message, sealed);
        }
    }

    /// How much room it takes while it waits.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.incomplete.capacity() + self.ahead.capacity()
    }

    /// What it stands on.
    #[cfg(test)]
    pub(super) fn into_tls(self) -> C {
        self.tls
    }
}

/// An error of the protocol, or of what was configured for it.
pub(super) fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Puts a message that is ready to be sent into `sealed`.
fn encode<D>(message: &mut EncodeTlsData<'_, D>, sealed: &mut BytesMut) {
    let start = sealed.len();
    // It tells its size only by not fitting.
    while let Err(EncodeError::InsufficientSize(size)) =
        message.encode(sealed.get_mut(start..).unwrap_or_default())
    {
        sealed.resize(start + size.required_size, 0);
    }
}

/// Seals into `out`, which grows if it has to.
fn large_enough(
    out: &mut Vec<u8>,
    mut seal: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> io::Result<usize> {
    loop {
        match seal(out) {
            Ok(length) => return Ok(length),
            Err(EncryptError::InsufficientSize(size)) => out.resize(size.required_size, 0),
            // More records than one set of keys may seal.
            Err(EncryptError::EncryptExhausted) => return Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}
