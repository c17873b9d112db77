use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, SystemTime},
};

use hushgate::{
    authenticate::{IndexKey, Keyring},
    config::keyring::{Carrier, Carriers, Entry, parse},
    secret::{Digest, issued},
};

use crate::harness::{CANARY, canary::assert_silent};

/// Runs `hushgate key` with these arguments on this input.
fn hushgate_key(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hushgate"))
        .arg("key")
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that reads nothing has closed it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    assert_silent("standard output", &output.stdout);
    assert_silent("standard error", &output.stderr);
    output
}

/// What was printed, of a command that succeeded.
#[track_caller]
fn printed(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

/// It fails with this code, says these words, and shows nothing on standard output.
#[track_caller]
fn fails(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
    assert!(output.stdout.is_empty());
}

fn entries(text: &str) -> Vec<Entry> {
    parse(text).unwrap()
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_credential_is_shown_first_and_its_entry_follows() {
    let folder = tempfile::tempdir().unwrap();
    let (shown, said) = printed(&hushgate_key(folder.path(), &["new", "ci"], ""));
    let (credential, entry) = shown.split_once('\n').unwrap();
    assert!(issued::is_ours(credential.as_bytes()));
    assert!(said.contains("shown only now") && !said.contains(credential));
    assert!(!entry.contains(credential));
    let entries = entries(entry);
    assert_eq!(entries.len(), 1);
    assert_eq!((&*entries[0].name, entries[0].digest), ("ci", Digest::of(credential.as_bytes())));
    let keyring = Keyring::new(entries, &IndexKey::new(&[3; 32].into()));
    assert!(keyring.find(credential.as_bytes()).is_some());
    let (again, _) = printed(&hushgate_key(folder.path(), &["new", "ci"], ""));
    assert_ne!(again.lines().next(), Some(credential), "made twice");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn every_option_stands_in_the_entry() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "new",
        "browser-1",
        "--expires",
        "90d",
        "--not-before",
        "2026-01-01T00:00:00+01:00",
        "--carrier",
        "query",
        "--carrier",
        "field",
        "--origin",
        "https://app.example",
        "--max-sockets",
        "8",
    ];
    let (shown, _) = printed(&hushgate_key(folder.path(), &arguments, ""));
    let entry = entries(shown.split_once('\n').unwrap().1).remove(0);
    let days = entry.expires.unwrap().duration_since(SystemTime::now()).unwrap().as_secs_f64() / 86400.0;
    assert!((89.9..=90.0).contains(&days), "{days}");
    let begins = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_222_000);
    assert_eq!((entry.not_before, entry.max_sockets), (Some(begins), Some(8)));
    assert_eq!(entry.carriers, Carriers::new(&[Carrier::Query, Carrier::Field]));
    assert!(entry.origins.is_some());
    let (shown, _) =
        printed(&hushgate_key(folder.path(), &["new", "a", "--expires", "2031-01-01T00:00:00Z"], ""));
    assert!(shown.contains("\nexpires = 2031-01-01T00:00:00Z\n"), "{shown}");
}

#[test]
fn a_keyring_grows_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keyring.toml");
    let add =
        |name: &str| printed(&hushgate_key(folder.path(), &["new", name, "--keyring", "keyring.toml"], ""));
    let (first, said) = add("a");
    assert!(said.contains("keyring.toml: a was added"), "{said}");
    assert_eq!(first.lines().count(), 1, "the credential alone: {first:?}");
    assert_eq!(mode(&file) & 0o027, 0);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("# Ours.\n{}", text.trim_end())).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o604)).unwrap();
    let (second, _) = add("b");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# Ours.\n[[key]]\nname = \"a\"\n") && text.ends_with('\n'), "{text}");
    let digests: Vec<_> = entries(&text).iter().map(|entry| entry.digest).collect();
    assert_eq!(digests, [first, second].map(|shown| Digest::of(shown.trim_end().as_bytes())));
    assert_eq!(mode(&file), 0o604);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn many_commands_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for number in 0..12 {
            let folder = folder.path();
            scope.spawn(move || {
                let name = format!("caller-{number}");
                printed(&hushgate_key(folder, &["new", &name, "--keyring", "keyring.toml"], ""));
            });
        }
    });
    let text = fs::read_to_string(folder.path().join("keyring.toml")).unwrap();
    assert_eq!(entries(&text).len(), 12);
}

#[test]
fn a_link_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().join("real.toml");
    fs::write(&real, "").unwrap();
    symlink("real.toml", folder.path().join("keyring.toml")).unwrap();
    printed(&hushgate_key(folder.path(), &["new", "a", "--keyring", "keyring.toml"], ""));
    assert!(folder.path().join("keyring.toml").is_symlink());
    assert_eq!(entries(&fs::read_to_string(real).unwrap()).len(), 1);
}

#[test]
fn a_keyring_that_cannot_be_used_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Digest::of(CANARY.as_bytes());
    let good = format!("[[key]]\nname = \"ci\"\nsha256 = \"{digest}\"\n");
    let inline = "key = []\n".to_owned();
    let broken = format!("[[key]]\nname = \"{CANARY} \"\nsha256 = \"{CANARY}\"\n");
    for (text, arguments, input, words) in [
        (&good, ["new", "ci"], "", "has an entry of that name"),
        (&good, ["digest", "other"], CANARY, "has an entry for that credential"),
        (&inline, ["new", "ci"], "", "write each entry as a table, [[key]]"),
        (&broken, ["new", "ci"], "", "keyring.toml:3:10: key.sha256: is not 64 hexadecimal digits"),
    ] {
        let file = folder.path().join("keyring.toml");
        fs::write(&file, text).unwrap();
        let arguments = [arguments.as_slice(), &["--keyring", "keyring.toml"]].concat();
        fails(&hushgate_key(folder.path(), &arguments, input), 78, words);
        assert_eq!(fs::read_to_string(&file).unwrap(), *text);
    }
    fails(&hushgate_key(folder.path(), &["new", "a", "--keyring", "."], ""), 78, "is no regular file");
    let missing = hushgate_key(folder.path(), &["new", "a", "--keyring", "missing/keyring.toml"], "");
    fails(&missing, 1, "cannot be written");
}

#[test]
fn a_credential_made_elsewhere_is_read_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["", "\n", "\r\n"] {
        let input = format!("{CANARY}{ending}");
        let (shown, _) = printed(&hushgate_key(folder.path(), &["digest", "old"], &input));
        assert_eq!(entries(&shown)[0].digest, Digest::of(CANARY.as_bytes()));
    }
    let arguments = ["digest", "old", "--keyring", "keyring.toml", "--carrier", "field"];
    let (shown, said) = printed(&hushgate_key(folder.path(), &arguments, CANARY));
    assert!(shown.is_empty() && said.contains("old was added"));
    let long = "a".repeat(4097);
    let mistyped = "hgk_000000000000000000000000000000000QKVBn3";
    for (input, words) in [
        ("", "is empty"),
        ("\n", "is empty"),
        ("nineteen-characters", "shorter than 20"),
        (&format!("{CANARY} {CANARY}"), "not visible ASCII"),
        (&format!("{CANARY}\n\n"), "not visible ASCII"),
        (&long, "longer than 4096"),
        (mistyped, "mistyped or cut"),
    ] {
        let output = hushgate_key(folder.path(), &["digest", "old"], input);
        fails(&output, 64, words);
        assert!(
            input.is_empty() || input == "\n" || !String::from_utf8_lossy(&output.stderr).contains(input)
        );
    }
}

#[test]
fn what_cannot_stand_in_an_entry_is_a_wrong_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let spaced = format!("{CANARY} x");
    let made = "hgk_000000000000000000000000000000000QKVBn2";
    let cases: [(&[&str], &str); 9] = [
        (&["new"], "required"),
        (&["new", &spaced], "is not 1 to 64 letters"),
        (&["new", made], "is a credential"),
        (&["new", "a", "--expires", CANARY], "is not a date and a time"),
        (&["new", "a", "--expires", "2027-01-01"], "or a duration such as 90d"),
        (&["new", "a", "--expires", "9000y"], "is out of range"),
        (&["new", "a", "--carrier", CANARY], "write \"query\" or \"ticket\" or \"field\" or"),
        (&["new", "a", "--max-sockets", "0"], "--max-sockets"),
        (
            &["new", "a", "--expires", "2027-01-01T00:00:00Z", "--not-before", "2028-01-01T00:00:00Z"],
            "expires: is not after",
        ),
    ];
    for (arguments, words) in cases {
        let output = hushgate_key(folder.path(), arguments, "");
        fails(&output, 64, words);
        assert!(!String::from_utf8_lossy(&output.stderr).contains(made));
    }
}
