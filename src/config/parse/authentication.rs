//! Who decides about a caller, by what, and which keys that demands or forbids.

use std::path::PathBuf;

use super::super::{
    Authentication, DeniedPath, FirstMessage, Mode, OpenPath, Origins, Require, document::Section, origins,
    paths, value,
};

/// What anybody may read unless configured: what the agent server itself shows to anybody.
const OPEN_PATHS: [&str; 4] = ["/alive", "/health", "/ready", "/server_info"];

/// What nobody reaches unless configured: where the agent server hands its own credential out.
const DENY_PATHS: [&str; 3] =
    ["/api/auth/workspace-session", "/api/conversations/*/runtime/credentials", "/api/vscode/url"];

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
    if decides == Decides::AgentServer {
        table.without_use("subprotocol_prefixes", subprotocol_prefixes.is_some());
        table.without_use("open_paths", open_paths.is_some());
        table.without_use("deny_paths", deny_paths.is_some());
        table.without_use("first_message", first_message.is_some());
    }
    let mode = match (decides, keyring, credential_file) {
        (Decides::Gateway, Some(keyring), Some(credential_file)) => Mode::Require(Require {
            keyring,
            credential_file,
            open_paths: open_paths.unwrap_or_else(open_unless_configured),
            deny_paths: deny_paths.unwrap_or_else(denied_unless_configured),
            first_message: first_message.unwrap_or(FirstMessage::Accept),
            subprotocol_prefixes: subprotocol_prefixes.unwrap_or_default(),
            ticket_parameters: vec![TICKET.to_owned()],
        }),
        (Decides::AgentServer | Decides::Gateway, _, _) => Mode::PassThrough,
    };
    table.not_yet("signing_key_file");
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

fn denied_unless_configured() -> Vec<DeniedPath> {
    DENY_PATHS.iter().filter_map(|path| paths::denied_path(path).ok()).collect()
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

    /// Takes a key of a carrier that is not served, and says so.
    fn not_yet(&mut self, name: &'static str) {
        if let Some(item) = self.take(name) {
            let text =
                "belongs to a way of presenting a credential that this version does not have; remove it";
            self.note(&item.place, name, text);
        }
    }
}
