//! The sources, read as text.

#[test]
fn only_gateway_and_server_name_pingora() {
    for room in
        ["handshake.rs", "relay.rs", "websocket.rs", "secret.rs", "config.rs", "access_log.rs", "metrics.rs"]
    {
        let text = std::fs::read_to_string(format!("{}/src/{room}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(!text.contains("pingora::"), "{room} names Pingora");
    }
}
