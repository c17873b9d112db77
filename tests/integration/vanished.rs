use std::{
    io,
    sync::{Mutex, mpsc},
    time::Duration,
};

use serde_json::Value;

use crate::harness::{
    CANARY, SWITCHING, Stream, Upstream, gateway::websockets_open, opening, setup::Setup, tls,
};

/// `limits.vanished_timeout` here.
const PATIENCE: &str = "1s";

/// Longer than any test waits, so that nothing ends because of the ends that are ours.
const ENOUGH: Duration = Duration::from_secs(60);

fn target() -> String {
    opening(&format!("/sockets/events/1?session_api_key={CANARY}"), &[])
}

/// Writes until nothing is taken any more, or the socket is gone.
fn write_on(stream: &mut Stream) {
    stream.patience(ENOUGH);
    while stream.send([7; 16 * 1024]).is_ok() {}
}

/// The line of the one socket, and that nothing of it is left.
#[track_caller]
fn the_end(setup: Setup, client: impl FnOnce(&mut Stream)) -> Value {
    let gateway = setup.set("limits.vanished_timeout", PATIENCE).start();
    let mut stream = gateway.upgrade(&target());
    client(&mut stream);
    let line = gateway.event("close");
    websockets_open(&gateway, 0.0);
    line
}

/// Agrees, and does nothing until `over` is dropped.
fn silent(over: mpsc::Receiver<()>) -> impl Fn(&mut Stream, usize) -> io::Result<()> + Send + Sync {
    let over = Mutex::new(over);
    move |stream, _| {
        stream.take_head()?;
        stream.send(SWITCHING)?;
        let _ = over.lock().unwrap().recv();
        Ok(())
    }
}

fn writing(stream: &mut Stream, _: usize) -> io::Result<()> {
    stream.take_head()?;
    stream.send(SWITCHING)?;
    write_on(stream);
    Ok(())
}

#[test]
fn a_client_that_reads_nothing_is_given_up() {
    let line = the_end(Setup::before(&Upstream::playing(writing)), |_| {});
    assert_eq!((&line["outcome"], &line["closed_by"]), (&"closed".into(), &"client".into()));
}

#[test]
fn a_client_that_reads_nothing_is_given_up_over_tls() {
    let authority = tls::Authority::new();
    let files = authority.issue("gateway", &["127.0.0.1"]);
    let setup = Setup::before(&Upstream::playing(writing)).tls(&files, &authority.roots());
    assert_eq!(the_end(setup, |_| {})["closed_by"], "client");
}

#[test]
fn an_upstream_that_reads_nothing_is_given_up() {
    let (_silence, over) = mpsc::channel();
    let line = the_end(Setup::before(&Upstream::playing(silent(over))), write_on);
    assert_eq!((&line["outcome"], &line["closed_by"]), (&"closed".into(), &"upstream".into()));
}

#[test]
fn silence_behind_a_half_close_has_an_end() {
    let (_silence, over) = mpsc::channel();
    let line = the_end(Setup::before(&Upstream::playing(silent(over))), |client| {
        client.finish().unwrap();
        // Our Close frame, and the end.
        client.patience(ENOUGH);
        assert_eq!(client.take_all().unwrap(), [0x88, 2, 0x03, 0xf4]);
    });
    assert_eq!((&line["outcome"], &line["closed_by"]), (&"cut".into(), &"gateway".into()));
}
