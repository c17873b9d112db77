//! A leak on purpose, in a build that is for tests only: it shows that the leak test would notice.
//!
//! `HUSHGATE_PLANTED_LEAK` names the sink, in the words of the leak test's matrix. What leaks is the
//! canary of one cell: a key in the query of an opening handshake that the upstream refuses.

use std::{
    env,
    sync::{Mutex, PoisonError},
};

use crate::secret::Wiped;

/// The variable that names the sink.
pub const VARIABLE: &str = "HUSHGATE_PLANTED_LEAK";

/// The canary, once it has come, until it has leaked.
static SEEN: Mutex<Option<String>> = Mutex::new(None);

/// Looks at a request head, and keeps the canary if it is the cell's.
pub(crate) fn see(head: &[u8]) {
    let head = String::from_utf8_lossy(head);
    let is_cell = head.contains("Upgrade: websocket") && head.contains("X-Leaktest-Answer: refuse\r\n");
    let value = head.lines().next().and_then(|line| line.split_once("?session_api_key="));
    let value = value.and_then(|(_, rest)| rest.strip_suffix(" HTTP/1.1"));
    let Some(canary) = value.filter(|value| is_cell && value.bytes().all(|byte| byte.is_ascii_lowercase()))
    else {
        return;
    };
    *SEEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(canary.to_owned());
    if let Some(canary) = leak("standard error") {
        tracing::error!(canary, "a leak on purpose");
    }
    if let Some(canary) = leak("standard output") {
        use std::io::Write;
        // Nobody may be listening.
        let _ = writeln!(std::io::stdout(), "{canary}");
    }
}

/// The canary, once, if it is to leak into this sink.
pub(crate) fn leak(sink: &str) -> Option<String> {
    if env::var(VARIABLE).is_ok_and(|chosen| chosen == sink) {
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).take()
    } else {
        None
    }
}

/// A head for the upstream, with the canary in its request target or in a field if that is the sink.
pub(crate) fn into_head(head: Wiped) -> Wiped {
    let (place, planted) = if let Some(canary) = leak("upstream target") {
        (" HTTP/1.1\r\n", format!("?planted={canary} HTTP/1.1\r\n"))
    } else if let Some(canary) = leak("upstream fields, in require") {
        ("\r\n", format!("\r\nX-Planted: {canary}\r\n"))
    } else {
        return head;
    };
    let head = String::from_utf8_lossy(head.as_bytes()).into_owned();
    Wiped::copy_of(head.replacen(place, &planted, 1).as_bytes())
}
