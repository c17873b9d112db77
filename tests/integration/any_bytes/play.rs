//! One end of a socket, which does what its side of a plan says.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    sync::watch,
    time::sleep,
};

use super::plan::{Act, Side};
use crate::harness::crowd::Socket;

/// How this end ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Half-closes when it has sent everything.
    Finishes,
    /// Waits for the peer's end, does what it does afterwards, and half-closes.
    FinishesSecond,
    /// Resets when it has sent everything.
    Resets,
    /// Goes on until it notices the peer's reset.
    Notices,
}

/// What one end is to do.
pub(crate) struct Role {
    pub(crate) part: Part,
    pub(crate) side: Side,
    pub(crate) acts: Vec<Act>,
    pub(crate) afterwards: Vec<Act>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) received: Vec<u8>,
    /// How the peer's direction ended; `None` where this end did not wait for that.
    pub(crate) end: Option<io::Result<()>>,
    /// What went wrong when it wrote.
    pub(crate) written: io::Result<()>,
}

/// Plays a role to its end.
pub(crate) async fn play(socket: Socket, role: &Role) -> Played {
    if role.part == Part::Resets {
        socket.end_by_reset();
    }
    let (mut reader, mut writer) = split(socket);
    let (ended, end) = watch::channel(false);
    let mut received = Vec::new();
    let reading = async {
        let result = read(&mut reader, &role.side, &mut received).await;
        let _ = ended.send(true);
        result
    };
    let writing = write(&mut writer, role, end);
    let (end, written) = if role.part == Part::Resets {
        // What it reads meanwhile, and whether all of it came, is chance.
        tokio::select! {
            written = writing => (None, written),
            () = async { let _ = reading.await; std::future::pending().await } => (None, Ok(())),
        }
    } else {
        let (end, written) = tokio::join!(reading, writing);
        (Some(end), written)
    };
    Played { received, end, written }
}

/// Reads to the end.
async fn read(from: &mut (impl AsyncRead + Unpin), side: &Side, received: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = vec![0; side.read];
    let mut reads = 0;
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        received.extend_from_slice(&chunk[..read]);
        reads += 1;
        // Who is slow for ever takes too long.
        if side.dawdle > 0 && reads < 60 {
            sleep(Duration::from_millis(side.dawdle)).await;
        }
    }
}

/// Writes everything, and ends this direction.
async fn write(
    to: &mut (impl AsyncWrite + Unpin),
    role: &Role,
    mut peers_end: watch::Receiver<bool>,
) -> io::Result<()> {
    for act in &role.acts {
        perform(to, act, role.side.write).await?;
    }
    match role.part {
        Part::Finishes => to.shutdown().await,
        Part::FinishesSecond => {
            peers_end.wait_for(|ended| *ended).await.map_err(io::Error::other)?;
            for act in &role.afterwards {
                perform(to, act, role.side.write).await?;
            }
            to.shutdown().await
        }
        Part::Resets | Part::Notices => Ok(()),
    }
}

async fn perform(to: &mut (impl AsyncWrite + Unpin), act: &Act, most: usize) -> io::Result<()> {
    match act {
        Act::Write(bytes) => {
            // Large payloads in tiny pieces take long: pieces grow with what there is to write.
            for piece in bytes.chunks(most.max(bytes.len() / 200)) {
                to.write_all(piece).await?;
                to.flush().await?;
            }
        }
        Act::Pause(time) => sleep(*time).await,
    }
    Ok(())
}
