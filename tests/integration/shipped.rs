use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::tls;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

/// The blocks of a manifest that are a file of this name, with their indentation taken off.
fn blocks(manifest: &str, name: &str) -> Vec<String> {
    let begin = format!("{name}: |");
    let mut lines = manifest.lines().peekable();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim() != begin {
            continue;
        }
        let outer = line.len() - line.trim_start().len();
        let mut block = String::new();
        let mut inner = None;
        while let Some(next) =
            lines.next_if(|next| next.trim().is_empty() || next.len() - next.trim_start().len() > outer)
        {
            if !next.trim().is_empty() {
                inner.get_or_insert_with(|| next.len() - next.trim_start().len());
            }
            block.push_str(next.get(inner.unwrap_or(0)..).unwrap_or_default());
            block.push('\n');
        }
        found.push(block);
    }
    found
}

/// The text of a configuration with its TLS files replaced by some that are there.
fn with_files(text: &str, files: &tls::Files) -> String {
    let line = |line: &str| {
        let value = |path: &Path| format!("= {:?}", path.to_str().unwrap());
        match line.split_once('=') {
            Some(("certificate ", _)) => format!("certificate {}", value(&files.certificate)),
            Some(("private_key_file ", _)) => format!("private_key_file {}", value(&files.private_key)),
            Some(_) | None => line.to_owned(),
        }
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Runs `hushgate check` with these arguments, the configuration's path replaced.
#[track_caller]
fn passes(what: &str, arguments: &[&str], text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    fs::write(&file, text).unwrap();
    let at = arguments.iter().position(|argument| *argument == "--config").unwrap();
    let mut arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
    arguments[at + 1] = file.to_str().unwrap().to_owned();
    let output = Command::new(env!("CARGO_BIN_EXE_hushgate")).args(arguments).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{what}:\n{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_configuration_file_of_the_repository_passes() {
    let authority = tls::Authority::new();
    let pem = authority.issue("server", &["localhost"]);
    let mut texts: Vec<(String, String)> =
        vec![("gateway.toml".to_owned(), fs::read_to_string(repository().join("gateway.toml")).unwrap())];
    for path in files(&repository().join("deploy"), "toml") {
        texts.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
    }
    let manifests = files(&repository().join("deploy"), "yaml");
    assert!(manifests.len() >= 2, "{manifests:?}");
    for path in manifests {
        let found = blocks(&fs::read_to_string(&path).unwrap(), "gateway.toml");
        assert!(!found.is_empty(), "{} holds no gateway.toml", path.display());
        texts.extend(found.into_iter().map(|text| (path.display().to_string(), text)));
    }
    assert!(texts.len() >= 5, "there are at least five");
    for (what, text) in texts {
        passes(&what, &["check", "--config", ""], &with_files(&text, &pem));
    }
}

#[test]
fn the_defaults_that_gateway_toml_shows_are_the_defaults() {
    let shown = fs::read_to_string(repository().join("gateway.toml")).unwrap();
    let parse = |text: &str| hushgate::config::Config::parse(text, []).unwrap().config;
    assert_eq!(parse(&shown), parse(""));
}

#[test]
fn the_commented_keys_of_gateway_toml_are_keys() {
    let authority = tls::Authority::new();
    let pem = authority.issue("server", &["localhost"]);
    let shown = fs::read_to_string(repository().join("gateway.toml")).unwrap();
    let mut text = shown
        .replace(
            "# tls = { certificate = \"certificate.pem\", private_key_file = \"private-key.pem\" }",
            &format!(
                "tls = {{ certificate = {:?}, private_key_file = {:?} }}",
                pem.certificate, pem.private_key
            ),
        )
        .replace("# ca_file = \"roots.pem\"", &format!("ca_file = {:?}", authority.roots()));
    assert_ne!(text, shown);
    text = text.replace("\"http://127.0.0.1:8000\" ", "\"https://127.0.0.1:8000\" ");
    passes("gateway.toml with its comments taken off", &["check", "--config", ""], &text);
}

#[test]
fn the_command_lines_of_the_unit_are_valid() {
    let unit = fs::read_to_string(repository().join("deploy/hushgate.service")).unwrap();
    let mut seen = Vec::new();
    for line in unit.lines() {
        let Some((name, command)) = line.split_once('=').filter(|(name, _)| name.starts_with("Exec")) else {
            continue;
        };
        let words: Vec<_> = command.split(' ').collect();
        if !words[0].ends_with("/hushgate") {
            assert_eq!(command, "/bin/kill -HUP $MAINPID");
            continue;
        }
        seen.push(name);
        // `run` would serve; `check` takes the same arguments.
        let words: Vec<_> =
            words[1..].iter().map(|word| if *word == "run" { "check" } else { word }).collect();
        passes(line, &words, "");
    }
    assert_eq!(seen, ["ExecStart", "ExecReload"]);
}

#[test]
fn the_commands_of_manifests_and_images_are_valid() {
    let mut seen = 0;
    for path in files(&repository().join("deploy"), "yaml") {
        for line in fs::read_to_string(&path).unwrap().lines() {
            let Some(list) = line.trim().strip_prefix("args: [").and_then(|list| list.strip_suffix(']'))
            else {
                continue;
            };
            let words: Vec<_> = list.split(',').map(|word| word.trim().trim_matches('"')).collect();
            if words.contains(&"--config") {
                seen += 1;
                let words: Vec<_> =
                    words.iter().map(|word| if *word == "run" { "check" } else { word }).collect();
                passes(line, &words, "");
            }
        }
    }
    assert!(seen >= 2, "both manifests run hushgate with --config");
}
