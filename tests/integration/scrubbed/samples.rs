//! Lines as other products write them. `{K}` stands for a credential, `{E}` for one that is
//! percent-encoded, `{B}` for one in base64.

/// Each product with its lines.
pub(super) const SAMPLES: [(&str, &str); 12] = [
    (
        "nginx, combined",
        r#"192.0.2.7 - - [25/Nov/2026:13:00:00 +0000] "GET /sockets/events/7?resend_mode=all&session_api_key={K}&x=%2B HTTP/1.1" 101 512 "https://app.example/c/7?session%5Fapi_key={K}#top" "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"
192.0.2.7 - - [25/Nov/2026:13:00:00 +0000] "GET /sockets/events/7?%73ession_api_key={E} HTTP/1.1" 403 0 "-" "curl/8.5.0"
192.0.2.7 - - [25/Nov/2026:13:00:00 +0000] "GET /x?q=\x22session_api_key\x22:\x22{K}\x22 HTTP/1.1" 200 5 "-" "-"
"#,
    ),
    (
        "nginx, error log",
        r#"2026/11/25 13:00:00 [error] 31#31: *7 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.7, server: _, request: "GET /s?session_api_key={K} HTTP/1.1", upstream: "http://127.0.0.1:8000/s?session_api_key={K}", host: "app.example", referrer: "https://app.example/?session_api_key={K}"
"#,
    ),
    (
        "Apache",
        r#"app.example:443 192.0.2.7 - - [25/Nov/2026:13:00:00 +0000] "GET /s?session_api_key={K}&a HTTP/1.1" 200 7 "https://user:{K}@app.example/" "Mozilla/5.0"
[Wed Nov 25 13:00:00.123456 2026] [proxy:error] [pid 7:tid 8] (111)Connection refused: AH00957: http: attempt to connect to 127.0.0.1:8000, referer: https://app.example/?next=%2Fs%3Fsession_api_key%3D{K}%26a
"#,
    ),
    (
        "HAProxy",
        r#"Nov 25 13:00:00 edge haproxy[7]: 192.0.2.7:5123 [25/Nov/2026:13:00:00.123] fe~ agent/a1 0/0/1/2/3 101 512 - - ---- 2/2/1/1/0 0/0 {https://app.example/?session_api_key={K}|Bearer {K}} {} "GET /sockets/events/7?session_api_key={K} HTTP/1.1"
"#,
    ),
    (
        "Traefik, CLF",
        r#"192.0.2.7 - - [25/Nov/2026:13:00:00 +0000] "GET /s?a=1&session_api_key={K} HTTP/1.1" 101 0 "https://app.example/?session_api_key={K}" "Mozilla/5.0" 7 "agent@docker" "http://10.0.0.2:8000" 3ms
"#,
    ),
    (
        "Traefik, JSON",
        r#"{"ClientAddr":"192.0.2.7:5123","RequestPath":"/s?session_api_key={K}\u0026a=1","request_X-Session-Api-Key":"{K}","request_Authorization":"Bearer {K}","request_Referer":"https://app.example/?session_api_key={K}","DownstreamStatus":101,"level":"info"}
"#,
    ),
    (
        "Envoy",
        r#"[2026-11-25T13:00:00.123Z] "GET /s?session_api_key={K} HTTP/1.1" 503 UF 0 91 3 - "192.0.2.7" "Mozilla/5.0" "7c1e" "app.example" "127.0.0.1:8000"
[2026-11-25 13:00:00.123][7][debug][http] [source/common/http/conn_manager_impl.cc:1183] [Tags: "ConnectionId":"7","StreamId":"8"] request headers complete (end_stream=true):
':authority', 'app.example'
':path', '/s?session_api_key={K}'
'x-session-api-key', '{K}'
'authorization', 'Bearer {K}'
'cookie', 'a=b; oh_workspace_session_key={K}; c=d'
'x-envoy-original-path', '/s?session_api_key={K}'
"#,
    ),
    (
        "Caddy",
        r#"{"level":"error","ts":1764075600.1,"logger":"http.log.error","msg":"dial tcp 127.0.0.1:8000: connect: connection refused","request":{"remote_ip":"192.0.2.7","method":"GET","host":"app.example","uri":"/s?session_api_key={K}\u0026a=1","headers":{"X-Session-Api-Key":["{K}"],"Authorization":["Basic {B}","Bearer {K}"],"Cookie":["a=b; oh_workspace_session_key={K}"],"Referer":["https:\/\/app.example\/?session_api_key={K}"],"Sec-Websocket-Protocol":["base64url.bearer.authorization.k8s.io.{B}, graphql-ws"]}},"duration":0.001}
{"level":"info","request":{"headers":{"Authorization":["REDACTED"],"Cookie":["REDACTED"]}},"status":200}
"#,
    ),
    (
        "uvicorn",
        r#"INFO:     192.0.2.7:5123 - "WebSocket /sockets/events/7?resend_mode=all&session_api_key={K}" [accepted]
INFO:     192.0.2.7:5123 - "GET /s?token={K} HTTP/1.1" 401 Unauthorized
DEBUG:    > GET /s?session_api_key={K} HTTP/1.1
DEBUG:    > X-Session-API-Key: {K}
DEBUG:    < TEXT '{"type":"auth","session_api_key":"{K}"}' [74 bytes]
TRACE:    {'type': 'websocket', 'query_string': b'session_api_key={K}&a=1', 'headers': [(b'host', b'app.example'), (b'x-session-api-key', b'{K}')]}
"#,
    ),
    (
        "the agent server, JSON",
        r#"{"asctime":"2026-11-25 13:00:00","levelname":"INFO","message":"GET","http.url":"/sockets/events/7?session_api_key={K}","http.status_code":101}
{"message":"frame {\"type\": \"auth\", \"session_api_key\": \"{K}\"}","n":[1,2.5e3,null]}
{"message":"env OH_SESSION_API_KEYS_0={K} SESSION_API_KEY={K} DEBUG=1","session_api_key":null}
"#,
    ),
    (
        "containers",
        r#"{"log":"192.0.2.7 \"GET /s?session_api_key={K}\u0026a=1 HTTP/1.1\" 101 \"{\\\"api_key\\\":\\\"{K}\\\"}\"\n","stream":"stdout","time":"2026-11-25T13:00:00.1Z"}
2026-11-25T13:00:00.1Z stdout F redirect=%252Fs%253Fsession_api_key%253D{K}%2526a%253D1
"#,
    ),
    (
        "people and programs",
        r#"$ curl -v -H 'X-Session-API-Key: {K}' -H "Authorization: Bearer {K}" 'wss://app.example/s?a=1&session_api_key={K}'
> Authorization: Basic {B}
http: request map[Accept:[*/*] X-Session-Api-Key:[{K}] User-Agent:[Go]]
{"headers":[{"name":"Host","value":"a"},{"name":"X-Session-API-Key","value":"{K}"}]}
b'GET / HTTP/1.1\r\nHost: a\r\nX-Session-API-Key: {K}\r\nCookie: session_api_key={K}; a=b\r\n\r\n'
cloning https://{K}:x-oauth-basic@git.example/a.git; amqp%3A%2F%2Fu%3A{K}%40mq%3A5672
"#,
    ),
];

/// What looks like a credential, or like trouble, and has to stay as it is.
pub(super) const HARMLESS: &[u8] =
    b"192.0.2.7 - - [25/Nov/2026:13:00:00 +0000] \"GET /s?page_token=7&monkey=1&after=12:00 HTTP/1.1\" 200 5\r\n\
    {\"msg\":\"api_key is missing\",\"session_api_key\":null,\"token\":\"t\",\"tokens\":5,\"access_token\":\"\"}\n\
    \"GET /s?session_api_key=REDACTED&api_key= HTTP/1.1\" Authorization: Bearer REDACTED\n\
    ssh://git@git.example/a.git bearer authentication failed, basic authentication is off\n\
    \xff\xfe\x00\x01 invalid \xc3( UTF-8 %zz %2 \\u00 \\x4 \\\\\\ \x1b[31mred\x1b[0m\n\
    \n\r\n   \nno line end";
