use std::io;

use crate::harness::{
    CANARY, SWITCHING,
    crowd::{self, Entrance, each},
    eventually,
    gateway::websockets_open,
    is_slow_run, opening,
    setup::Setup,
};

/// Sends one message, for every other number together with the opening handshake, and takes the
/// upstream's greeting and the echo.
async fn one_message(entrance: Entrance, number: usize) -> io::Result<()> {
    let message = format!("{number:08}");
    let mut socket = entrance.connect().await?;
    let opening = opening(&format!("/s/{number}?session_api_key={CANARY}"), &[]);
    if number.is_multiple_of(2) {
        socket.send(opening + &message).await?;
        assert_eq!(socket.take_head().await?.status(), 101, "number {number}");
    } else {
        socket.send(opening).await?;
        assert_eq!(socket.take_head().await?.status(), 101, "number {number}");
        socket.send(&message).await?;
    }
    let greeted = socket.receive(5 + message.len()).await?;
    assert_eq!(String::from_utf8_lossy(&greeted), format!("hello{message}"));
    Ok(())
}

#[test]
fn no_handshake_is_lost_when_the_101_comes_at_once() {
    let _alone = crowd::alone();
    let count = if is_slow_run() { 20_000 } else { 500 };
    let runtime = crowd::runtime();
    let url = runtime.block_on(crowd::upstream(|mut socket| async {
        socket.take_head().await?;
        // Its first message comes with the 101.
        socket.send(format!("{SWITCHING}hello")).await?;
        socket.echo().await
    }));
    let gateway = Setup::before_url(&url).set("access_log.path", "access.log").start();
    let entrance = gateway.entrance();
    let done = runtime.block_on(each(count, move |number| one_message(entrance.clone(), number)));
    assert_eq!(done.len(), count);
    websockets_open(&gateway, 0.0);
    let log = || std::fs::read_to_string(gateway.file("access.log")).unwrap();
    eventually("every line is written", || log().lines().count() == 2 * count);
    let text = log();
    assert_eq!(text.matches("\"bytes_received\":8,\"bytes_sent\":13,").count(), count);
    assert_eq!(text.matches("\"outcome\":\"upgraded\"").count(), count);
}
