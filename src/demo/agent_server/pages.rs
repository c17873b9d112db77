//! What the embedded agent server answers to plain requests: the page, and what the page asks for.

use std::{io::SeekFrom, path::Path};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use url::form_urlencoded;

use super::{Shared, plain, request::Request};

/// The page brings everything along, and may talk to nobody but us.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'unsafe-inline'; img-src data:; connect-src 'self' ws: wss:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// The page to try it in a browser.
const PAGE: &str = include_str!("../page.html");

const JSON: &str = "application/json";

/// How much of the end of the gateway's log is searched.
const TAIL: u64 = 256 * 1024;

/// The answer to a plain request.
pub(super) async fn answer(request: &Request, shared: &Shared) -> String {
    match (request.method.as_str(), request.path().as_str()) {
        ("GET", "/") => plain("200 OK", "text/html; charset=utf-8", PAGE),
        ("GET", "/demo/keys") => {
            let keys = json!({ "right": shared.keys.right, "wrong": shared.keys.wrong });
            plain("200 OK", JSON, &keys.to_string())
        }
        ("GET", "/demo/story") => {
            let path = path_of_socket(&request.target);
            let story = json!({
                "received": shared.story.of(&path),
                "gateway_log": gateway_lines(&shared.gateway_log, &path).await,
            });
            plain("200 OK", JSON, &story.to_string())
        }
        _ => plain("404 Not Found", JSON, r#"{"detail":"Not Found"}"#),
    }
}

/// The path that `?socket=ID` asks for.
fn path_of_socket(target: &str) -> String {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let id = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "socket");
    format!("/sockets/events/{}", id.map(|(_, id)| id).unwrap_or_default())
}

/// The gateway's lines for one path, as they stand in its log.
async fn gateway_lines(log: &Path, path: &str) -> Vec<String> {
    let tail = tail(log).await.unwrap_or_default();
    let is_of_path = |line: &str| {
        let line: Option<serde_json::Value> = serde_json::from_str(line).ok();
        let target = line.as_ref().and_then(|line| line.get("target")?.as_str());
        target.and_then(|target| target.split('?').next()) == Some(path)
    };
    String::from_utf8_lossy(&tail).lines().filter(|line| is_of_path(line)).map(str::to_owned).collect()
}

async fn tail(log: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = tokio::fs::File::open(log).await?;
    let length = file.metadata().await?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).await?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).await?;
    Ok(tail)
}
