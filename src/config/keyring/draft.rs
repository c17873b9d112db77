//! An entry that is yet to be written.

use std::{fmt, time::SystemTime};

use super::Carrier;
use crate::secret::Digest;

/// An entry as it is written; what may stand in one, [`parse`](super::parse) decides.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The caller's name.
    pub name: String,
    /// The SHA-256 of the credential's bytes.
    pub digest: Digest,
    /// When the credential begins to count; as [`Draft::expires`], between 1970 and 9999, as dates are written.
    pub not_before: Option<SystemTime>,
    /// When it ceases to.
    pub expires: Option<SystemTime>,
    /// The origins whose pages may present it; none is any.
    pub origins: Vec<String>,
    /// The most WebSockets that it holds open at once.
    pub max_sockets: Option<u32>,
    /// The ways by which it may be presented; none is any.
    pub carriers: Vec<Carrier>,
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| toml::Value::from(text);
        let list = |texts: Vec<&str>| toml::Value::from(texts);
        writeln!(f, "[[key]]")?;
        writeln!(f, "name = {}", quoted(&self.name))?;
        writeln!(f, "sha256 = \"{}\"", self.digest)?;
        for (name, moment) in [("not_before", self.not_before), ("expires", self.expires)] {
            if let Some(moment) = moment {
                writeln!(f, "{name} = {}", humantime::format_rfc3339_seconds(moment))?;
            }
        }
        if !self.origins.is_empty() {
            writeln!(f, "origins = {}", list(self.origins.iter().map(String::as_str).collect()))?;
        }
        if let Some(number) = self.max_sockets {
            writeln!(f, "max_sockets = {number}")?;
        }
        if !self.carriers.is_empty() {
            let words = self.carriers.iter().map(|carrier| carrier.label()).collect();
            writeln!(f, "carriers = {}", list(words))?;
        }
        Ok(())
    }
}
