//! What a gateway is started with.

use std::{collections::BTreeMap, path::Path};

use super::{Gateway, Upstream, canary::OURS, tls::Files};

/// The configuration of a gateway, key by key.
#[derive(Clone)]
pub(crate) struct Setup {
    settings: BTreeMap<String, toml::Value>,
    /// Files beside the configuration.
    pub(super) files: BTreeMap<&'static str, String>,
    pub(super) roots: Option<std::path::PathBuf>,
    pub(super) is_log_read: bool,
    pub(super) descriptors: Option<u32>,
}

impl Setup {
    /// On free ports, before an upstream.
    pub(crate) fn before(upstream: &Upstream) -> Self {
        Self::before_url(upstream.url())
    }

    /// The same before whatever answers there.
    pub(crate) fn before_url(url: &str) -> Self {
        Self {
            settings: BTreeMap::new(),
            files: BTreeMap::new(),
            roots: None,
            is_log_read: true,
            descriptors: None,
        }
        .set("listen.address", "127.0.0.1:0")
        .set("admin.address", "127.0.0.1:0")
        .set("upstream.url", url)
        // The end of a test waits for nobody.
        .set("drain.timeout", "300ms")
    }

    /// Sets one key.
    pub(crate) fn set(mut self, config_key: &str, value: impl Into<toml::Value>) -> Self {
        self.settings.insert(config_key.to_owned(), value.into());
        self
    }

    /// Has the gateway decide about callers by this keyring.
    pub(crate) fn requiring(self, keyring: &str) -> Self {
        self.file("keyring.toml", keyring)
            .file("upstream.key", &format!("{OURS}\n"))
            .set("authentication.mode", "require")
            .set("authentication.keyring", "keyring.toml")
            .set("upstream.credential_file", "upstream.key")
    }

    /// Puts a file beside the configuration.
    pub(crate) fn file(mut self, name: &'static str, text: &str) -> Self {
        self.files.insert(name, text.to_owned());
        self
    }

    /// Serves TLS; clients trust `roots`.
    pub(crate) fn tls(mut self, files: &Files, roots: &Path) -> Self {
        self.roots = Some(roots.to_owned());
        self.set("listen.tls.certificate", files.certificate.to_str().unwrap())
            .set("listen.tls.private_key_file", files.private_key.to_str().unwrap())
    }

    /// Leaves the pipe of the access log unread until [`Gateway::read_log`].
    pub(crate) fn log_unread(mut self) -> Self {
        self.is_log_read = false;
        self
    }

    /// Lets the gateway have this many descriptors only.
    pub(crate) fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// One value, as text.
    pub(super) fn get(&self, config_key: &str) -> Option<&str> {
        self.settings.get(config_key).and_then(toml::Value::as_str)
    }

    /// The file.
    pub(crate) fn text(&self) -> String {
        self.settings.iter().map(|(config_key, value)| format!("{config_key} = {value}\n")).collect()
    }

    /// Starts the gateway and waits until it serves.
    #[track_caller]
    pub(crate) fn start(self) -> Gateway {
        Gateway::start(self)
    }
}
