//! Heads as text: those that tests send, and those that they read.

/// A valid `Sec-WebSocket-Key`.
pub(crate) const NONCE: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The answer of a server that agrees to a WebSocket, as uvicorn with wsproto spells it.
pub(crate) const SWITCHING: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nserver: uvicorn\r\n\r\n";

/// A request head with these further field lines, each without its line end.
pub(crate) fn head(line: &str, fields: &[&str]) -> String {
    let mut text = format!("{line} HTTP/1.1\r\nHost: agent.example\r\n");
    for field in fields {
        text.push_str(field);
        text.push_str("\r\n");
    }
    text + "\r\n"
}

/// A valid opening handshake for this target with these further field lines.
pub(crate) fn opening(target: &str, fields: &[&str]) -> String {
    let nonce = format!("Sec-WebSocket-Key: {NONCE}");
    let mut all = vec!["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", &nonce];
    all.extend_from_slice(fields);
    head(&format!("GET {target}"), &all)
}

/// A head as it was read, in Latin-1.
#[derive(Clone, Debug)]
pub(crate) struct Head(pub(crate) String);

impl Head {
    /// The first line.
    pub(crate) fn line(&self) -> &str {
        self.0.lines().next().unwrap()
    }

    /// The status of an answer.
    pub(crate) fn status(&self) -> u16 {
        self.line().split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The values of all field lines of this name.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.0
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The only value of a field, if it is there.
    #[track_caller]
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} is repeated in {self:?}");
        values.first().copied()
    }

    /// The field lines, sorted, names in lower case.
    pub(crate) fn fields(&self) -> Vec<String> {
        let mut fields: Vec<_> = self
            .0
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| format!("{}: {}", name.to_ascii_lowercase(), value.trim()))
            .collect();
        fields.sort();
        fields
    }
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}
