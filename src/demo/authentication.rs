//! The rule by which the real agent server authenticates a WebSocket, written a second time.
//!
//! It shares nothing with [`crate::handshake`], and leaves decoding to another library: a walk that
//! used the gateway's own reading of a query could only agree with it.

use url::form_urlencoded;

/// The query parameter that carries a key.
pub(super) const PARAMETER: &str = "session_api_key";

/// The field that carries a key.
pub(super) const FIELD: &str = "X-Session-API-Key";

/// The key that an opening handshake presents: the last value of the parameter, even if it is
/// empty, else the first line of the field, read as Latin-1.
pub(super) fn presented<'a>(target: &str, lines: impl IntoIterator<Item = &'a [u8]>) -> Option<String> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let parameter = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == PARAMETER)
        .last()
        .map(|(_, value)| value.into_owned());
    parameter.or_else(|| lines.into_iter().next().map(|line| latin1(line.trim_ascii())))
}

/// The key in a first message, `{"type":"auth","session_api_key":"…"}`, if it is one.
pub(super) fn in_first_message(text: &str) -> Option<String> {
    let message: serde_json::Value = serde_json::from_str(text).ok()?;
    let is_auth = message.get("type")?.as_str()? == "auth";
    message.get(PARAMETER)?.as_str().filter(|_| is_auth).map(str::to_owned)
}

/// Every byte is the character of the same number.
pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "secret-one";
    const TWO: &str = "a+b c%d;e&f=g#h";
    const THREE: &str = "clé-ü";

    /// What the real server was seen to do.
    #[derive(Debug, PartialEq)]
    enum Seen {
        Admitted,
        Refused,
        Waiting,
    }
    use Seen::{Admitted, Refused, Waiting};

    /// The measured rows of the real server: the query, the field lines, and what it did.
    #[rustfmt::skip]
    const ROWS: &[(&str, &[&[u8]], Seen)] = &[
        ("?session_api_key=secret-one", &[], Admitted),
        ("", &[b"secret-one"], Admitted),
        ("?session_api_key=wrong-key", &[], Refused),
        ("", &[b"wrong-key"], Refused),
        ("?session_api_key=", &[], Refused),
        ("", &[], Waiting),
        ("?session_api_key=secret-one", &[b"wrong-key"], Admitted),
        ("?session_api_key=wrong-key", &[b"secret-one"], Refused),
        ("?session_api_key=", &[b"secret-one"], Refused),
        ("?session_api_key", &[b"secret-one"], Refused),
        ("?session_api_key", &[], Refused),
        ("", &[b""], Refused),
        ("?session_api_key=secret-one&session_api_key=wrong-key", &[], Refused),
        ("?session_api_key=wrong-key&session_api_key=secret-one", &[], Admitted),
        ("?session_api_key=&session_api_key=secret-one", &[], Admitted),
        ("?session_api_key=secret-one&session_api_key=", &[], Refused),
        ("", &[b"secret-one", b"wrong-key"], Admitted),
        ("", &[b"wrong-key", b"secret-one"], Refused),
        ("", &[b"secret-one, wrong-key"], Refused),
        ("", &[b"  secret-one  "], Admitted),
        ("?session%5Fapi_key=secret-one", &[], Admitted),
        ("?session%5fapi_key=secret-one", &[], Admitted),
        ("?%73ession_api_key=wrong-key", &[b"secret-one"], Refused),
        ("?session%255Fapi_key=secret-one", &[], Waiting),
        ("?session+api+key=secret-one", &[], Waiting),
        ("?SESSION_API_KEY=secret-one", &[], Waiting),
        ("?SESSION_API_KEY=wrong-key", &[b"secret-one"], Admitted),
        ("?session-api-key=secret-one", &[], Waiting),
        ("?X-Session-API-Key=secret-one", &[], Waiting),
        ("?session_api_key[]=secret-one", &[], Waiting),
        ("?%20session_api_key=secret-one", &[], Waiting),
        ("?session_api_key%00=secret-one", &[], Waiting),
        ("?session_api_key=secret%2Done", &[], Admitted),
        ("?session_api_key=secret%252Done", &[], Refused),
        ("?session_api_key=secret-one%20", &[], Refused),
        ("?session_api_key=secret-one%00", &[], Refused),
        ("?session_api_key=secret-one%0d%0aX-Evil:%201", &[], Refused),
        ("?session_api_key=%FF", &[], Refused),
        ("?session_api_key=secret-one%zz", &[], Refused),
        ("?session_api_key=secret-one%", &[], Refused),
        ("?session_api_key=a%2Bb%20c%25d%3Be%26f%3Dg%23h", &[], Admitted),
        ("?session_api_key=a%2Bb+c%25d;e%26f=g%23h", &[], Admitted),
        ("?session_api_key=a+b%20c%25d;e%26f=g%23h", &[], Refused),
        ("", &[b"a+b c%d;e&f=g#h"], Admitted),
        ("?session_api_key=cl%C3%A9-%C3%BC", &[], Admitted),
        ("?session_api_key=cl%E9-%FC", &[], Refused),
        ("", &[b"cl\xc3\xa9-\xc3\xbc"], Refused),
        ("", &[b"cl\xe9-\xfc"], Admitted),
        ("?a=1;session_api_key=secret-one", &[], Waiting),
        ("?session_api_key=secret-one;b=1", &[], Refused),
        ("?a=1&&session_api_key=secret-one&", &[], Admitted),
        ("?&session_api_key=secret-one", &[], Admitted),
        ("??session_api_key=secret-one", &[], Waiting),
        ("?x=?session_api_key=secret-one", &[], Waiting),
        ("?a=1%26session_api_key=secret-one", &[], Waiting),
    ];

    #[test]
    fn decides_as_the_real_server_was_measured_to() {
        for (query, lines, seen) in ROWS {
            let decided = match presented(&format!("/sockets/events/1{query}"), lines.iter().copied()) {
                None => Waiting,
                Some(key) if [ONE, TWO, THREE].contains(&key.as_str()) => Admitted,
                Some(_) => Refused,
            };
            assert_eq!(&decided, seen, "{query} {lines:?}");
        }
    }

    #[test]
    fn a_first_message_is_an_object_with_a_type_and_a_key() {
        let key = |text| in_first_message(text);
        assert_eq!(key(r#"{"type":"auth","session_api_key":"k","x":1}"#).as_deref(), Some("k"));
        for other in [
            "k",
            "[]",
            "{}",
            r#"{"type":"auth"}"#,
            r#"{"type":"text","session_api_key":"k"}"#,
            r#"{"type":"auth","session_api_key":["k"]}"#,
            r#"{"session_api_key":"k"}"#,
        ] {
            assert_eq!(key(other), None, "{other}");
        }
    }
}
