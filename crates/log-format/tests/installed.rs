//! The installed log: this test sets the global subscriber, so it has a process of its own.

use std::fmt;
use std::time::Duration;

use log_format::{LogError, parse_line};

/// Logs while it is being logged.
struct Chatty;

impl fmt::Debug for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::info!(target: "chatty", text = "a b", "inner");
        f.write_str("shown")
    }
}

/// Logs itself while it is being logged.
struct Endless;

impl fmt::Debug for Endless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tracing::info!(target: "endless", it = ?self, "again");
        f.write_str("shown")
    }
}

#[test]
fn one_call_installs_and_events_within_events_keep_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("logs/x.log");
    let install = || {
        log_format::to_file(&path)
            .filter("info")
            .worker_id(|| Some("w-1"))
            .install()
    };
    let guard = install().unwrap();

    let error = install().unwrap_err();
    assert!(matches!(error, LogError::AlreadyInstalled));
    assert!(error.to_string().contains("`LogLayer`"), "{error}");

    tracing::info!(target: "outer", value = ?Chatty, "outer");
    tracing::info!(target: "outer", "in the message: {Chatty:?}");
    tracing::info!(target: "outer", it = ?Endless, "endless");
    guard.flush(Duration::from_mins(1)).unwrap();

    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text
        .lines()
        .map(|it| parse_line(it).unwrap())
        .collect::<Vec<_>>();
    let tails = text.lines().map(|it| &it[20..]).collect::<Vec<_>>();
    assert_eq!(
        tails,
        [
            r#"INFO inner text="a b" worker_id=w-1 target=chatty"#,
            "INFO outer value=shown worker_id=w-1 target=outer",
            r#"INFO inner text="a b" worker_id=w-1 target=chatty"#,
            "INFO in the message: shown worker_id=w-1 target=outer",
            r#"INFO <nested too deep> it="<nested too deep>" target=endless"#,
            "INFO again it=shown worker_id=w-1 target=endless",
            "INFO again it=shown worker_id=w-1 target=endless",
            "INFO again it=shown worker_id=w-1 target=endless",
            "INFO endless it=shown worker_id=w-1 target=outer",
        ]
    );
    assert!(lines.iter().all(|it| !it.is_telemetry()));
    assert_eq!(guard.dropped(), 0);
}
