//! Whether the leak test notices: a build that leaks on purpose, into one sink after the other.

use std::process::Command;

use hushgate::planted::VARIABLE;

#[test]
fn a_leak_in_each_sink_is_reported_as_exactly_that_cell() {
    for sink in [
        "access log",
        "standard output",
        "standard error",
        "metrics",
        "admin pages",
        "replies",
        "upstream target",
        "upstream fields, in require",
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_hushgate"))
            .args(["leaktest", "--format", "json"])
            .env(VARIABLE, sink)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{sink}: {}", String::from_utf8_lossy(&output.stderr));
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let cells = json["cells"].as_array().unwrap();
        let leaked: Vec<_> = cells.iter().filter(|cell| cell["verdict"] == "leaked").collect();
        assert_eq!(leaked.len(), 1, "{sink}: {leaked:?}");
        let leaked = leaked.first().unwrap();
        assert_eq!(leaked["sink"], sink);
        assert_eq!(
            (&leaked["carrier"], &leaked["path"]),
            (&"query".into(), &"refused by the upstream".into())
        );
        assert_eq!(leaked["form"], "raw");
        assert!(cells.len() > 5_000, "{}", cells.len());
        assert_eq!(json["verdict"], "leaked");
    }
}

#[test]
fn nothing_leaks_where_no_sink_is_chosen() {
    let output = Command::new(env!("CARGO_BIN_EXE_hushgate")).arg("leaktest").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
}
