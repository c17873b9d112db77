//! Probes and metrics, on a listener of their own that clients never reach.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};

use crate::{
    config::paths::path_of, gateway::Gateway, handshake::head::Head, phase::Phase, read_head::read_head,
};

/// The most probes at once.
const PLACES: usize = 64;

/// The longest head of a probe.
const HEAD_SIZE: usize = 8 * 1024;

/// How long one probe may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers probes until the process ends.
pub(super) async fn serve(listener: TcpListener, gateway: Arc<Gateway>, phase: watch::Receiver<Phase>) {
    let places = Arc::new(Semaphore::new(PLACES));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (gateway, is_ready) = (Arc::clone(&gateway), *phase.borrow() == Phase::Serving);
        tokio::spawn(async move {
            let _ = tokio::time::timeout(PATIENCE, answer(stream, &gateway, is_ready)).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, gateway: &Gateway, is_ready: bool) -> std::io::Result<()> {
    let bytes = read_head(&mut stream, HEAD_SIZE).await?;
    let ((status, body), has_body) = match Head::parse(&bytes, 100) {
        #[cfg(feature = "planted-leaks")]
        Ok(head) => {
            let (status, mut body) = page(&head, gateway, is_ready);
            let sink = if head.target == b"/metrics" { "metrics" } else { "admin pages" };
            body.push_str(&crate::planted::leak(sink).unwrap_or_default());
            ((status, body), head.method != "HEAD")
        }
        #[cfg(not(feature = "planted-leaks"))]
        Ok(head) => (page(&head, gateway, is_ready), head.method != "HEAD"),
        Err(_) => (("400 Bad Request", String::new()), false),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    if has_body {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

fn page(head: &Head<'_>, gateway: &Gateway, is_ready: bool) -> (&'static str, String) {
    if !matches!(head.method, "GET" | "HEAD") {
        return ("405 Method Not Allowed", String::new());
    }
    // A prober may add a query, which changes nothing.
    match (path_of(head.target), is_ready) {
        (b"/livez", _) => ("200 OK", "ok\n".to_owned()),
        (b"/readyz", true) => ("200 OK", "ready\n".to_owned()),
        (b"/readyz", false) => ("503 Service Unavailable", "draining\n".to_owned()),
        (b"/metrics", _) => ("200 OK", gateway.metrics.render(gateway.access_log.dropped())),
        _ => ("404 Not Found", String::new()),
    }
}
