//! The sources, read as text: the invariants of `lib.rs` that a text can tell.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The rooms that do no I/O, read no clock and take no lock.
const PURE: [&str; 9] = [
    "access_log/redact",
    "authenticate",
    "config",
    "gateway/takeover/answer",
    "handshake",
    "phase",
    "scrub",
    "secret",
    "websocket",
];

/// The most lines of one file.
const LONGEST: usize = 400;

/// Every Rust file below these folders, by its path from the repository's top, with its text.
fn sources(folders: &[&str]) -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| top.join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// The files of a room: the one of its name, and those in the folder of its name. Its tests, which
/// may do what it must not, are left out.
fn room(name: &str) -> Vec<(String, String)> {
    let (file, folder) = (format!("src/{name}.rs"), format!("src/{name}/"));
    let files: Vec<_> = sources(&["src"])
        .into_iter()
        .filter(|(path, _)| *path == file || path.starts_with(&folder))
        .filter(|(path, _)| !path.ends_with("/tests.rs"))
        .collect();
    assert!(files.iter().any(|(path, _)| *path == file), "there is no room {name}");
    files
}

/// The code of a file: no comments, and nothing from its tests on.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .take_while(|(_, line)| *line != "mod tests {")
}

/// Fails if the code of any file holds one of `words`.
fn assert_free_of(files: &[(String, String)], words: &[&str], why: &str) {
    for (path, text) in files {
        for (number, line) in code(text) {
            for word in words {
                assert!(!line.contains(word), "{path}:{number} names `{word}`: {why}\n{line}");
            }
        }
    }
}

#[test]
fn only_gateway_names_pingora() {
    let others: Vec<_> = sources(&["src"])
        .into_iter()
        .filter(|(path, _)| {
            let is_of =
                |room: &str| *path == format!("src/{room}.rs") || path.starts_with(&format!("src/{room}/"));
            !is_of("gateway")
        })
        .collect();
    assert!(others.len() > 10, "the rooms were not found");
    assert_free_of(&others, &["pingora"], "only gateway does");
}

#[test]
fn the_pure_rooms_are_pure() {
    const IMPURE: [&str; 15] = [
        ".elapsed()",
        "Atomic",
        "Instant",
        "Mutex",
        "RwLock",
        "SystemTime::now",
        "TcpListener",
        "TcpStream",
        "UdpSocket",
        "async fn",
        "std::env",
        "std::fs",
        "std::io",
        "std::thread",
        "tokio",
    ];
    for name in PURE {
        assert_free_of(&room(name), &IMPURE, "this room does no I/O, reads no clock and takes no lock");
    }
}

#[test]
fn dependencies_point_down() {
    let upper = ["crate::gateway", "gateway::", "crate::server", "server::"];
    for name in
        ["access_log", "authenticate", "config", "handshake", "metrics", "relay", "secret", "websocket"]
    {
        assert_free_of(&room(name), &upper, "what is below does not know what is above");
    }
    for word in ["gateway", "phase"] {
        assert_free_of(
            &room(word),
            &["crate::server", "crate::demo"],
            "what is below does not know what is above",
        );
    }
    for (name, below) in [("config", ["config", "secret"].as_slice()), ("secret", &["secret"])] {
        for (path, text) in room(name) {
            for (number, line) in code(&text) {
                let is_other = |rest: &&str| !below.iter().any(|room| rest.starts_with(room));
                let others = line.split("crate::").skip(1).filter(is_other);
                assert_eq!(others.count(), 0, "{path}:{number}: {name} is at the bottom\n{line}");
            }
        }
    }
}

#[test]
fn no_file_is_too_long_to_read() {
    for (path, text) in sources(&["src", "tests", "benches"]) {
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{path} has {lines} lines; split it, one idea a file ({LONGEST} at most)");
    }
}

#[test]
fn every_file_of_src_says_what_it_is() {
    for (path, text) in sources(&["src"]) {
        if !path.ends_with("/tests.rs") {
            assert!(text.starts_with("//! "), "{path} does not begin with a sentence on what it is");
        }
    }
}

#[test]
fn every_module_of_the_integration_tests_says_what_belongs_in_it() {
    let (_, text) = sources(&["tests/integration"])
        .into_iter()
        .find(|(path, _)| path == "tests/integration/main.rs")
        .unwrap();
    let lines: Vec<_> = text.lines().collect();
    let modules: Vec<_> =
        lines.windows(2).filter(|pair| pair.iter().skip(1).any(|line| line.starts_with("mod "))).collect();
    assert!(modules.len() > 10, "the modules were not found");
    for pair in modules {
        assert!(pair.first().unwrap().starts_with("/// "), "{pair:?} has no sentence");
    }
}
