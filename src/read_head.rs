//! A message's head, read whole before anything is made of it: for probes, and for the stand-ins of the
//! demo and of the leak test. What the gateway serves is read by `gateway::connection`, under its limits.

use std::io;

use tokio::{io::AsyncReadExt, net::TcpStream};

/// Reads up to an empty line, and what came with it in one piece.
///
/// # Errors
/// It is longer than `most` bytes, or the stream ends or breaks before.
pub(crate) async fn read_head(stream: &mut TcpStream, most: usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if head.len() > most || stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(head)
}
