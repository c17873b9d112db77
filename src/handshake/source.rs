//! The words for where a credential came from.

use crate::config::keyring::Carrier;

/// Where the credential that goes on came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    /// `Authorization: Bearer`.
    Bearer,
    /// The cookie for the files of a workspace.
    Cookie,
    /// The credential field.
    Field,
    /// The first message of a WebSocket that we answered ourselves.
    FirstMessage,
    /// Nothing was presented.
    None,
    /// A query parameter.
    Query,
    /// An entry of `Sec-WebSocket-Protocol`.
    Subprotocol,
    /// A ticket in the query.
    Ticket,
}

impl CredentialSource {
    /// The carrier that it is, as a keyring names it.
    pub const fn carrier(self) -> Option<Carrier> {
        match self {
            Self::Bearer => Some(Carrier::Bearer),
            Self::Cookie => Some(Carrier::Cookie),
            Self::Field => Some(Carrier::Field),
            Self::FirstMessage => Some(Carrier::FirstMessage),
            Self::None => None,
            Self::Query => Some(Carrier::Query),
            Self::Subprotocol => Some(Carrier::Subprotocol),
            Self::Ticket => Some(Carrier::Ticket),
        }
    }

    /// The word for the log and for metrics.
    pub const fn label(self) -> &'static str {
        match self.carrier() {
            Some(carrier) => carrier.label(),
            None => "none",
        }
    }
}
