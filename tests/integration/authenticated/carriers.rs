//! Every way to present a credential, and the table of who is let in.

use std::fmt::Write;

use base64::Engine;

use super::{FUTURE, PAST, cookies, digest, field, key, revoked, server, tickets};
use crate::harness::{CANARY, Gateway, frames, head, http::Answer, opening, setup::Setup};

/// How a credential is presented.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum By {
    Bearer,
    Cookie,
    Field,
    FirstMessage,
    Query,
    Subprotocol,
    Ticket,
}

impl By {
    const ALL: [Self; 7] = [
        Self::Query,
        Self::Ticket,
        Self::Field,
        Self::Subprotocol,
        Self::Bearer,
        Self::Cookie,
        Self::FirstMessage,
    ];

    /// The word of the keyring and of the log.
    fn word(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Cookie => "cookie",
            Self::Field => "field",
            Self::FirstMessage => "first_message",
            Self::Query => "query",
            Self::Subprotocol => "subprotocol",
            Self::Ticket => "ticket",
        }
    }
}

/// A subprotocol that carries a credential, as Kubernetes has it.
pub(super) fn subprotocol(credential: &str) -> String {
    let encoded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(credential);
    format!("base64url.bearer.authorization.k8s.io.{encoded}")
}

/// Opens a WebSocket with a credential, or asks what that carrier is for. Whoever is not let in is told no more than the agent server tells.
#[track_caller]
fn is_let_in(gateway: &Gateway, by: By, credential: &str, fields: &[&str]) -> bool {
    if by == By::FirstMessage {
        let mut socket = gateway.send(opening("/sockets/events/1", fields));
        if socket.take_head().unwrap().status() == 101 {
            socket.send(frames::authentication(credential)).unwrap();
            return revoked::is_alive(&mut socket);
        }
        return false;
    }
    let mut ticket = None;
    if by == By::Ticket {
        ticket = tickets::issued(gateway, "/sockets/events/1", credential, fields);
        if ticket.is_none() {
            return false;
        }
    }
    let is_handshake = !matches!(by, By::Bearer | By::Cookie);
    let answer = ask(gateway, is_handshake, by, ticket.as_deref().unwrap_or(credential), fields);
    let is_in = matches!(answer.status(), 101 | 200);
    if !is_in && !is_handshake {
        assert_eq!((answer.status(), answer.text()), (401, "{\"detail\":\"Unauthorized\"}"));
    } else if !is_in {
        assert_eq!(answer.head.0, "HTTP/1.1 403 \r\ncontent-length: 0\r\nConnection: close\r\n\r\n");
    }
    is_in
}

/// Presents a credential in an opening handshake, or in a plain request.
pub(super) fn ask(
    gateway: &Gateway,
    is_handshake: bool,
    by: By,
    credential: &str,
    fields: &[&str],
) -> Answer {
    let line = match by {
        By::Bearer => format!("Authorization: Bearer {credential}"),
        By::Cookie => format!("Cookie: oh_workspace_session_key={credential}"),
        By::Subprotocol => format!("Sec-WebSocket-Protocol: {}, chat", subprotocol(credential)),
        By::Field | By::FirstMessage | By::Query | By::Ticket => field(credential),
    };
    let mut fields = fields.to_vec();
    let target = match by {
        By::Bearer => {
            fields.push(&line);
            "/v1/models".to_owned()
        }
        By::Cookie => {
            fields.push(&line);
            cookies::FILE.to_owned()
        }
        By::Field | By::Subprotocol => {
            fields.push(&line);
            "/sockets/events/1".to_owned()
        }
        By::FirstMessage => unreachable!("it has no place in a head"),
        By::Ticket => format!("/sockets/events/1?ticket={credential}"),
        By::Query => format!("/sockets/events/1?session_api_key={credential}"),
    };
    let request =
        if is_handshake { opening(&target, &fields) } else { head(&format!("GET {target}"), &fields) };
    let mut client = gateway.send(request);
    let head = client.take_head().unwrap();
    let body = if head.status() == 101 { Vec::new() } else { client.take_body(&head).unwrap() };
    Answer { head, body }
}

/// The origins that the table tries.
const PAGES: [&str; 3] = ["https://app.example", "https://evil.example", "null"];

/// Every carrier against every reason not to be let in, and what the log says of it.
#[test]
fn every_carrier_is_let_in_or_not_as_the_keyring_says() {
    let upstream = server();
    let only = |by| if by == By::Field { "carriers = [\"query\"]" } else { "carriers = [\"field\"]" };
    let mut table = String::new();
    for by in By::ALL {
        for (name, more, presented, fields, outcome) in [
            ("good", "", CANARY, &[][..], "upgraded"),
            (
                "good, from its page",
                "origins = [\"https://app.example\"]",
                CANARY,
                &["Origin: https://app.example"],
                "upgraded",
            ),
            (
                "good, in its time",
                &format!("not_before = {PAST}\nexpires = {FUTURE}"),
                CANARY,
                &[],
                "upgraded",
            ),
            ("wrong", "", "wrong-credential", &[], "credential_unknown"),
            ("its digest", "", &digest(CANARY), &[], "credential_unknown"),
            ("empty", "", "", &[], "credential_unknown"),
            ("expired", &format!("expires = {PAST}"), CANARY, &[], "credential_expired"),
            ("not yet valid", &format!("not_before = {FUTURE}"), CANARY, &[], "credential_not_yet_valid"),
            ("by another carrier", only(by), CANARY, &[], "carrier_not_allowed"),
            (
                "from another page",
                "origins = [\"https://app.example\"]",
                CANARY,
                &["Origin: https://evil.example"],
                "origin_not_allowed",
            ),
            (
                "from no page of a name",
                "origins = [\"https://app.example\"]",
                CANARY,
                &["Origin: null"],
                "origin_not_allowed",
            ),
        ] {
            let mut setup = Setup::before(&upstream).requiring(&key("alice", CANARY, more));
            if by == By::Cookie {
                // A page that presents one has to be on the list of all.
                setup =
                    cookies::served(setup).set("authentication.origins", PAGES.map(str::to_owned).to_vec());
            }
            let gateway = setup.start();
            // A replica made it, when the key was good.
            let cookie =
                (by == By::Cookie && presented == CANARY).then(|| cookies::made_elsewhere(&upstream));
            let before = upstream.received().len();
            let is_in = is_let_in(&gateway, by, cookie.as_deref().unwrap_or(presented), fields);
            // Whoever gets no ticket asks for no WebSocket.
            let only_plain = matches!(by, By::Bearer | By::Cookie);
            let is_plain = only_plain || by == By::Ticket && outcome != "upgraded";
            let line = gateway.event(if is_plain { "request" } else { "handshake" });
            let _ = writeln!(table, "{} | {name} | {} | {outcome}", by.word(), line["status"]);
            let logged = if only_plain && outcome == "upgraded" { "served" } else { outcome };
            assert_eq!(line["outcome"], logged, "{by:?}, {name}");
            assert_eq!(is_in, outcome == "upgraded", "{by:?}, {name}");
            assert_eq!(
                line["credential_source"],
                if by == By::Ticket && is_plain { "field" } else { by.word() }
            );
            // No page without a name may use a cookie, whoever it is of.
            let is_asked = by != By::Cookie || name != "from no page of a name";
            let is_known = outcome != "credential_unknown" && is_asked;
            assert_eq!(line["caller"].as_str(), is_known.then_some("alice"), "{by:?}, {name}");
            assert_eq!(upstream.received().len() - before, usize::from(is_in), "{by:?}, {name}: upstream");
        }
    }
    crate::harness::measured(&format!("who gets in\n{table}"));
}
