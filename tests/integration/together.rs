use crate::harness::{
    CANARY, Gateway, SWITCHING, Upstream, gateway::websockets_open, head, opening, upstream,
};

/// How many clients there are at once, and how often each of them asks.
const CLIENTS: usize = 24;
const ROUNDS: usize = 12;

#[test]
fn many_clients_at_once_get_each_their_own() {
    let upstream = Upstream::playing(|stream, _| {
        loop {
            let head = stream.take_head()?;
            if !head.values("upgrade").is_empty() {
                // Who this socket is for comes first.
                let target = head.line().split(' ').nth(1).unwrap().to_owned();
                return upstream::echo_on(stream, &format!("{SWITCHING}{target}"));
            }
            let body = stream.take_body(&head)?;
            stream.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()))?;
            stream.send(body)?;
        }
    });
    let gateway = Gateway::before(&upstream);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let gateway = &gateway;
            scope.spawn(move || {
                let mut kept = gateway.connect();
                for round in 0..ROUNDS {
                    let own = format!("/{client:04}/{round:04}");
                    let body = own.repeat(500);
                    kept.send(head(&format!("POST {own}"), &[&format!("Content-Length: {}", body.len())]))
                        .unwrap();
                    kept.send(&body).unwrap();
                    assert_eq!(kept.take_answer().unwrap().text(), body);
                    let mut socket =
                        gateway.upgrade(&opening(&format!("{own}?session_api_key={CANARY}"), &[]));
                    assert_eq!(socket.take(own.len()).unwrap(), own.as_bytes());
                    socket.send(&body).unwrap();
                    assert_eq!(socket.take(body.len()).unwrap(), body.as_bytes());
                }
            });
        }
    });
    let count = CLIENTS * ROUNDS;
    for event in ["request", "handshake", "close"] {
        assert_eq!(gateway.events(event, count).len(), count, "{event}");
    }
    websockets_open(&gateway, 0.0);
    for (metric, outcome) in [("request", "served"), ("handshake", "upgraded")] {
        let name = format!("hushgate_requests_total{{kind=\"{metric}\",outcome=\"{outcome}\"}}");
        assert_eq!(gateway.metric(&name).map(|value| value.to_string()), Some(count.to_string()));
    }
}
