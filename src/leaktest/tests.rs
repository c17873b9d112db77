use std::{collections::BTreeSet, fs, io::Cursor, time::Duration};

use super::{
    Names, Verdict,
    canary::{Base, Canaries, Cell, Form, LENGTH, Spelling},
    carriers::Carrier,
    drive::{Refused, Run},
    paths::Path,
    report::Report,
    request::Request,
    require::{Files, add},
    search::{Found, Search},
    sinks::{Sink, Watched},
};

const CELL: Cell = Cell { carrier: Carrier::Referer, path: Path::UpstreamDown };

/// The canary of [`CELL`], beside one of another cell.
fn canary() -> (Search, String) {
    let other = Cell { carrier: Carrier::Query, path: Path::Answered };
    let canaries = Canaries::new([other, CELL]).unwrap();
    let (_, canary) = canaries.all().find(|(cell, _)| *cell == CELL).unwrap();
    (Search::of(&canaries).unwrap(), canary)
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

fn forms(found: &Found) -> Vec<(Option<Cell>, Form)> {
    found.hits.iter().map(|hit| (hit.cell, hit.form)).collect()
}

#[test]
fn a_canary_is_found_in_every_spelling_and_tells_its_cell() {
    let (search, canary) = canary();
    assert_eq!(canary.len(), LENGTH);
    for spelling in Spelling::all() {
        let written = spelling.write(canary.as_bytes());
        let line = [b"one\ntwo ", written.as_slice(), b" three\n"].concat();
        let found = search.read(line.as_slice()).unwrap();
        assert_eq!(forms(&found), [(Some(CELL), spelling.form())], "{spelling:?}");
        assert_eq!((found.hits[0].line, found.lines, found.bytes), (2, 2, length(&line)), "{spelling:?}");
    }
}

#[test]
fn what_libraries_write_is_found() {
    let (search, canary) = canary();
    let percent: String =
        percent_encoding::percent_encode(canary.as_bytes(), percent_encoding::NON_ALPHANUMERIC).collect();
    assert_eq!(forms(&search.read(percent.as_bytes()).unwrap()), [(Some(CELL), Form::Raw)]);
    for before in ["", "a", "ab", "abc"] {
        let encoded =
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, format!("{before}{canary}:b"));
        assert_eq!(
            forms(&search.read(encoded.as_bytes()).unwrap()),
            [(Some(CELL), Form::Base64)],
            "{before}"
        );
    }
    let bytes = format!("{:02x?}", canary.as_bytes());
    assert_eq!(forms(&search.read(bytes.as_bytes()).unwrap()), [(Some(CELL), Form::Hex)]);
    let bytes = format!("{:?}", canary.as_bytes());
    assert_eq!(forms(&search.read(bytes.as_bytes()).unwrap()), [(Some(CELL), Form::Decimal)]);
}

#[test]
fn either_end_of_a_canary_is_a_leak() {
    let (search, canary) = canary();
    let (half, _) = canary.split_at(LENGTH / 2);
    assert_eq!(forms(&search.read(half.as_bytes()).unwrap()), [(None, Form::Raw)]);
    let (_, most) = canary.split_at(5);
    assert_eq!(forms(&search.read(most.as_bytes()).unwrap()), [(Some(CELL), Form::Raw)]);
}

#[test]
fn a_canary_is_found_wherever_it_stands_in_much_else() {
    let (search, canary) = canary();
    for spelling in [Spelling::Plain, Spelling::Reversed, Spelling::Digits { before: "%25", base: Base::Hex }]
    {
        let written = spelling.write(canary.as_bytes());
        // Around the end of what is read at once.
        for at in (262_144 - 600..262_144 + 300).step_by(53) {
            let mut bytes = vec![b'\n'; at];
            bytes.extend_from_slice(&written);
            bytes.extend(std::iter::repeat_n(b'x', 1_000));
            let found = search.read(bytes.as_slice()).unwrap();
            assert_eq!(forms(&found), [(Some(CELL), spelling.form())], "{at}");
            let hit = found.hits[0];
            let before = length(&bytes[..at]);
            assert_eq!((hit.byte, hit.line), (before, before + 1), "{spelling:?}");
        }
    }
}

#[test]
fn what_was_there_before_is_no_leak_and_what_was_moved_away_is_searched() {
    let (search, canary) = canary();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let append = |text: &str| {
        let old = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, old + text).unwrap();
    };
    append(&canary);
    let watched = Watched::from_now(path.clone()).unwrap();
    append("clean");
    let growth = watched.search(&search).unwrap();
    assert_eq!((growth.new.hits.len(), growth.new.bytes, growth.is_cut), (0, 5, false));

    append("\n");
    let watched = Watched::from_now(path.clone()).unwrap();
    append(&format!("one\ntwo {canary}"));
    let hit = watched.search(&search).unwrap().new.hits[0];
    assert_eq!((hit.line, hit.byte), (3, length(canary.as_bytes()) + 14), "from the beginning of the file");

    let watched = Watched::from_now(path.clone()).unwrap();
    append(&canary);
    fs::rename(&path, folder.path().join("log.1")).unwrap();
    append("new");
    let growth = watched.search(&search).unwrap();
    assert_eq!((growth.old.hits.len(), growth.new.bytes, growth.is_cut), (1, 3, false));

    let watched = Watched::from_now(path.clone()).unwrap();
    fs::rename(&path, folder.path().join("log.2")).unwrap();
    append(&canary);
    assert_eq!(watched.search(&search).unwrap().new.hits.len(), 1, "in the new file");

    let watched = Watched::from_now(path.clone()).unwrap();
    fs::write(&path, "").unwrap();
    assert!(watched.search(&search).unwrap().is_cut);

    let watched = Watched::from_now(folder.path().join("later")).unwrap();
    fs::write(folder.path().join("later"), &canary).unwrap();
    assert_eq!(watched.search(&search).unwrap().new.hits.len(), 1, "it is new");
    assert!(Watched::from_now(folder.path().join("never")).unwrap().search(&search).is_err());
    assert!(Watched::from_now(folder.path().to_owned()).is_err(), "a folder");
}

#[test]
fn every_script_holds_its_canary_and_every_label_is_its_own() {
    let run = Run::new(Cell::all(), Names::default(), Duration::ZERO, Refused::Trouble).unwrap();
    let mut cells = 0;
    for (cell, canary) in run.canaries() {
        let sent = if cell.is_sent() {
            let request = cell.carrier.request(&canary, &Names::default());
            let script = cell.path.script(request, &canary, "X-Field");
            [script.sent, script.opened].concat()
        } else {
            let files = Files::bad(cell.carrier, &canary);
            (files.keyring + &files.credential + &files.signing_keys).into_bytes()
        };
        let found = run.search.read(sent.as_slice()).unwrap();
        assert!(found.hits.iter().all(|hit| hit.cell == Some(cell)) && !found.hits.is_empty(), "{cell:?}");
        cells += 1;
    }
    assert!(cells > 700, "{cells}");
    let carriers: BTreeSet<_> = Carrier::ALL.iter().map(|carrier| carrier.label()).collect();
    let paths: BTreeSet<_> = Path::ALL.iter().map(|path| path.label()).collect();
    assert_eq!((carriers.len(), paths.len()), (Carrier::ALL.len(), Path::ALL.len()));
}

#[test]
fn a_request_is_written_as_http_has_it() {
    let mut request = Request::plain("localhost", "/a");
    request.put_body(b"ab");
    let head = String::from_utf8(request.head()).unwrap();
    assert_eq!(head, "POST /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 2\r\n\r\n");
    assert!(
        String::from_utf8(Request::handshake("localhost", "/a").head())
            .unwrap()
            .contains("\r\nUpgrade: websocket\r\n")
    );
}

#[test]
fn only_a_test_that_planted_and_searched_is_clean() {
    let mut report = Report::default();
    assert_eq!(report.verdict(), Verdict::NoResult);
    report.planted(CELL);
    assert_eq!(report.verdict(), Verdict::NoResult);
    report.searched(&Sink::Replies, &Found::default(), "");
    assert_eq!(report.verdict(), Verdict::Clean);
    report.troubles.insert("something".to_owned());
    assert_eq!(report.verdict(), Verdict::NoResult);

    let (search, canary) = canary();
    report.searched(&Sink::Metrics, &search.read(Cursor::new(&canary)).unwrap(), "");
    assert_eq!(report.verdict(), Verdict::Leaked);
    let (mut text, mut json) = (Vec::new(), Vec::new());
    report.text(&mut text).unwrap();
    report.json(&mut json).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("leaked: Referer (upstream down) in metrics: line 1, byte 0, raw\n"), "{text}");
    for output in [text.as_bytes(), &json] {
        assert!(search.read(output).unwrap().hits.is_empty(), "a canary is shown");
    }
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["cells"][1]["verdict"], "leaked");
    assert_eq!(json["cells"][0]["verdict"], "clean");
}

#[test]
fn a_keyring_has_the_keys_of_every_path_but_two_and_a_bad_one_cannot_be_read() {
    let canaries = Canaries::new(Cell::all().filter(|cell| cell.carrier == Carrier::Field)).unwrap();
    let mut keyring = String::new();
    canaries.all().for_each(|(cell, canary)| add(&mut keyring, cell, &canary));
    let entries = crate::config::keyring::parse(&keyring).unwrap();
    let has = |path: Path| {
        let (_, canary) = canaries.all().find(|(cell, _)| cell.path == path).unwrap();
        entries.iter().any(|entry| entry.digest == crate::secret::Digest::of(canary.as_bytes()))
    };
    for (cell, _) in canaries.all() {
        let is_wrong = matches!(cell.path, Path::KeyUnknown | Path::TooManyAttempts);
        assert_eq!(has(cell.path), !is_wrong, "{cell:?}");
    }
    for carrier in [Carrier::KeyringDigest, Carrier::KeyringName, Carrier::KeyringWithoutQuotes] {
        let files = Files::bad(carrier, &canaries.all().next().unwrap().1);
        assert!(crate::config::keyring::parse(&files.keyring).is_err(), "{carrier:?}");
    }
}

#[test]
fn a_caller_s_key_beside_our_own_credential_is_a_leak() {
    let own = Cell { carrier: Carrier::OwnCredential, path: Path::Answered };
    let other = Cell { carrier: Carrier::Field, path: Path::Answered };
    let canaries = Canaries::new([own, other]).unwrap();
    let search = Search::of(&canaries).unwrap();
    let mut report = Report::default();
    for (cell, canary) in canaries.all() {
        report.planted(cell);
        report.searched(&Sink::UpstreamFields, &search.read(canary.as_bytes()).unwrap(), "");
        let verdict = if cell == own { Verdict::Clean } else { Verdict::Leaked };
        assert_eq!(report.verdict(), verdict, "{cell:?}");
    }
    assert!(!Sink::UpstreamFields.concerns(CELL) && Sink::Replies.concerns(CELL));
}

#[test]
fn no_two_cells_are_alike_in_any_spelling() {
    let canaries = Canaries::new(Cell::all()).unwrap();
    let cells = canaries.all().count();
    for spelling in Spelling::all() {
        let codes: BTreeSet<_> = canaries.codes(spelling).map(|(code, _)| code).collect();
        assert_eq!(codes.len(), cells, "{:?}", spelling.form());
    }
}
