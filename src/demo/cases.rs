//! The ways of presenting a key that the demo walks through, and what must come of each.

use super::{authentication::FIELD, client::Attempt, keys::Keys};

/// One way of presenting a key.
#[derive(Debug)]
pub(super) struct Case {
    /// What it is, as a heading.
    pub(super) name: &'static str,
    /// What the client sends.
    pub(super) attempt: Attempt,
    /// What must come of it.
    pub(super) expected: Expected,
}

/// What must come of a case.
#[derive(Debug)]
pub(super) struct Expected {
    /// The status that the agent server alone answers with, and so hushgate too.
    pub(super) status: &'static str,
    /// The target and the field line with which the agent server is reached, or `None` when
    /// hushgate refuses in its stead.
    pub(super) received: Option<(&'static str, Option<String>)>,
    /// The key by which the agent server judges.
    pub(super) used: Option<String>,
    /// What hushgate's log calls it.
    pub(super) credential_source: &'static str,
    /// Whether the agent server alone writes the key into its log.
    pub(super) leaks_alone: bool,
}

/// Where all of them knock.
const SOCKET: &str = "/sockets/events/1";

/// The agent server's yes.
const ADMITTED: &str = "101 Switching Protocols";

/// The agent server's no, with its empty reason phrase.
const REFUSED: &str = "403 ";

/// All cases, in the order of the walk.
pub(super) fn all(keys: &Keys) -> Vec<Case> {
    let Keys { right, wrong } = keys;
    let in_field = |key: &str| Some(format!("{FIELD}: {key}"));
    let translated = |key: &str, status| Expected {
        status,
        received: Some((SOCKET, in_field(key))),
        used: Some(key.to_owned()),
        credential_source: "query",
        leaks_alone: true,
    };
    vec![
        Case {
            name: "key in the query, as a browser must",
            attempt: Attempt { target: format!("{SOCKET}?session_api_key={right}"), ..Attempt::default() },
            expected: translated(right, ADMITTED),
        },
        Case {
            name: "key in the field, as a program can",
            attempt: Attempt { target: SOCKET.to_owned(), field: Some(right.clone()), ..Attempt::default() },
            expected: Expected {
                credential_source: "field",
                leaks_alone: false,
                ..translated(right, ADMITTED)
            },
        },
        Case {
            name: "both: the query overrides the field",
            attempt: Attempt {
                target: format!("{SOCKET}?session_api_key={right}"),
                field: Some(wrong.clone()),
                ..Attempt::default()
            },
            expected: translated(right, ADMITTED),
        },
        Case {
            name: "encoded name and value; every other parameter stays as it came",
            attempt: Attempt {
                target: format!(
                    "{SOCKET}?after=9%2B0&session%5Fapi%5Fkey={}&x",
                    right.replacen('-', "%2D", 1)
                ),
                ..Attempt::default()
            },
            expected: Expected {
                received: Some(("/sockets/events/1?after=9%2B0&x", in_field(right))),
                ..translated(right, ADMITTED)
            },
        },
        Case {
            name: "wrong key in the query: the agent server's own refusal",
            attempt: Attempt { target: format!("{SOCKET}?session_api_key={wrong}"), ..Attempt::default() },
            expected: translated(wrong, REFUSED),
        },
        Case {
            name: "empty key in the query: no falling back to the field",
            attempt: Attempt {
                target: format!("{SOCKET}?session_api_key="),
                field: Some(right.clone()),
                ..Attempt::default()
            },
            expected: Expected {
                status: REFUSED,
                received: None,
                used: None,
                credential_source: "query",
                leaks_alone: false,
            },
        },
        Case {
            name: "key as the first message",
            attempt: Attempt {
                target: SOCKET.to_owned(),
                first_message: Some(format!(r#"{{"type":"auth","session_api_key":"{right}"}}"#)),
                ..Attempt::default()
            },
            expected: Expected {
                status: ADMITTED,
                received: Some((SOCKET, None)),
                used: Some(right.clone()),
                credential_source: "none",
                leaks_alone: false,
            },
        },
    ]
}
