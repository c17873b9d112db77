//! Who decides about a caller, by what, and which keys that demands or forbids.

use std::{path::PathBuf, time::Duration};

use super::super::{
    Authentication, Cookies, DeniedPath, FirstMessage, MAKES_COOKIES, Mode, OpenPath, Origins, Require,
    document::Section, origins, paths, value,
};

/// What anybody may read unless configured: what the agent server itself shows to anybody.
const OPEN_PATHS: [&str; 4] = ["/alive", "/health", "/ready", "/server_info"];

/// What nobody reaches unless configured: where the agent server hands its own credential out.
const DENY_PATHS: [&str; 3] =
    ["/api/conversations/*/runtime/credentials", "/api/conversations/*/vscode/url", "/api/vscode/url"];

/// How long a cookie counts unless configured: a day of work.
const COOKIE_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// The parameter by which tickets are presented.
pub(super) const TICKET: &str = "ticket";

/// Who decides, before it is known by what.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Decides {
    /// See [`Mode::PassThrough`].
    AgentServer,
    /// See [`Mode::Require`].
    Gateway,
}

/// Reads who decides.
pub(super) fn decides(table: &mut Section<'_>) -> Decides {
    let words = value::word(&[("pass-through", Decides::AgentServer), ("require", Decides::Gateway)]);
    table.text("mode", "\"pass-through\"", words).unwrap_or(Decides::AgentServer)
}

/// Reads the file of the agent server's credential, out of the table of the agent server.
pub(super) fn credential_file(upstream: &mut Section<'_>, decides: Decides) -> Option<PathBuf> {
    upstream.file_of_gateway(
        "credential_file",
        "\"agent-server-credential\"",
        "the agent server gets no other credential than this file's",
        decides,
    )
}

/// Reads the rest of the table.
pub(super) fn authentication(
    mut table: Section<'_>,
    decides: Decides,
    credential_file: Option<PathBuf>,
) -> Authentication {
    let keyring = table.file_of_gateway(
        "keyring",
        "\"keyring.toml\"",
        "callers are verified against this file's entries",
        decides,
    );
    let open_paths = table.list("open_paths", "[\"/alive\", \"/health\"]", paths::open_path);
    let deny_paths = table.list("deny_paths", "[\"/api/vscode/url\"]", paths::denied_path);
    let words = value::word(&[("accept", FirstMessage::Accept), ("refuse", FirstMessage::Refuse)]);
    let first_message = table.text("first_message", "\"accept\"", words);
    let subprotocol_prefixes =
        table.list("subprotocol_prefixes", "[\"openai-insecure-api-key.\"]", value::subprotocol_prefix);
    let signing_key_file = table.text("signing_key_file", "\"signing-key\"", value::path);
    let cookie_lifetime = table.text("cookie_lifetime", "\"12h\"", cookie_lifetime);
    if decides == Decides::AgentServer {
        table.without_use("signing_key_file", signing_key_file.is_some());
        table.without_use("cookie_lifetime", cookie_lifetime.is_some());
        table.without_use("subprotocol_prefixes", subprotocol_prefixes.is_some());
        table.without_use("open_paths", open_paths.is_some());
        table.without_use("deny_paths", deny_paths.is_some());
        table.without_use("first_message", first_message.is_some());
    }
    if decides == Decides::Gateway && cookie_lifetime.is_some() && signing_key_file.is_none() {
        table.unfit(
            "cookie_lifetime",
            "is used only with authentication.signing_key_file; remove it, or write signing_key_file = \"signing-key\"",
        );
    }
    if signing_key_file.is_some() {
        let covers = |path: &DeniedPath| path.covers(MAKES_COOKIES.as_bytes());
        if deny_paths.iter().flatten().any(covers) {
            let text = format!(
                "covers {MAKES_COOKIES}, where callers get cookies; leave it out, or signing_key_file"
            );
            table.unfit("deny_paths", &text);
        }
        if signing_key_file == credential_file {
            let text = "is upstream.credential_file, which more people know; write signing_key_file = \"signing-key\"";
            table.unfit("signing_key_file", text);
        }
    }
    let cookies = signing_key_file.map(|signing_key_file| Cookies {
        signing_key_file,
        lifetime: cookie_lifetime.unwrap_or(COOKIE_LIFETIME),
    });
    let mode = match (decides, keyring, credential_file) {
        (Decides::Gateway, Some(keyring), Some(credential_file)) => Mode::Require(Require {
            keyring,
            credential_file,
            open_paths: open_paths.unwrap_or_else(open_unless_configured),
            deny_paths: deny_paths.unwrap_or_else(|| denied_unless_configured(cookies.is_some())),
            first_message: first_message.unwrap_or(FirstMessage::Accept),
            subprotocol_prefixes: subprotocol_prefixes.unwrap_or_default(),
            ticket_parameters: vec![TICKET.to_owned()],
            cookies,
        }),
        (Decides::AgentServer | Decides::Gateway, _, _) => Mode::PassThrough,
    };
    let authentication = Authentication {
        mode,
        origins: table.list("origins", "[\"https://app.example\"]", origins::pattern).map(Origins::new),
        refuse_query_after: table.moment("refuse_query_after"),
    };
    table.finish();
    authentication
}

fn open_unless_configured() -> Vec<OpenPath> {
    OPEN_PATHS.iter().filter_map(|path| paths::open_path(path).ok()).collect()
}

fn denied_unless_configured(has_cookies: bool) -> Vec<DeniedPath> {
    let made = Some(MAKES_COOKIES).filter(|_| !has_cookies);
    DENY_PATHS.into_iter().chain(made).filter_map(|path| paths::denied_path(path).ok()).collect()
}

/// How long a cookie counts, which browsers are told in seconds.
fn cookie_lifetime(text: &str) -> value::Parsed<Duration> {
    let lifetime = value::some_time(text)?;
    if lifetime < Duration::from_secs(1) {
        return Err("is shorter than a second; write a longer duration, for example \"12h\"".to_owned());
    }
    Ok(lifetime)
}

impl Section<'_> {
    /// Reads the path of a file that must be there if the gateway decides, and else must not.
    fn file_of_gateway(
        &mut self,
        name: &'static str,
        example: &str,
        purpose: &str,
        decides: Decides,
    ) -> Option<PathBuf> {
        let is_there = self.has(name);
        let file = self.text(name, example, value::path);
        match decides {
            Decides::AgentServer => self.without_use(name, is_there),
            Decides::Gateway if !is_there => {
                self.missing(name, &format!("is missing, and {purpose}; write {name} = {example}"));
            }
            Decides::Gateway => {}
        }
        file
    }

    /// Notes that a key which is there is of no use where the agent server decides.
    fn without_use(&self, name: &str, is_there: bool) {
        if is_there {
            let text = "is used only with authentication.mode = \"require\"; remove it, or write that mode";
            self.unfit(name, text);
        }
    }
}
