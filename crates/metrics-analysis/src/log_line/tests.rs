//! What any log line is to us.

use super::{LogContent, read_carefully};

#[test]
fn a_quoted_error_is_one_text() {
    let line = b"2025-12-15 03:19:34 WARN tool_call_complete tool=ssh_exec duration_ms=1234 success=False worker_id=w error=\"exit code 1\" event=tool_call_complete";
    read_carefully(line, |content| {
        let LogContent::Call(record) = content else {
            panic!("{content:?}");
        };
        assert_eq!(record.error, Some(&b"exit code 1"[..]));
        assert!(!record.success);
    });
}

#[test]
fn other_lines_are_told_from_broken_ones() {
    let reason = |line: &str| {
        read_carefully(line.as_bytes(), |content| match content {
            LogContent::Call(_) => "a call".to_owned(),
            LogContent::Other => "another line".to_owned(),
            LogContent::Unusable(reason) => reason,
        })
    };
    for (line, expected) in [
        (
            "2025-12-15 03:19:35 WARN connection closed peer=10.0.0.7 target=net",
            "another line",
        ),
        // Foreign, although it looks like ours.
        (
            "2025-12-15 03:19:35 INFO tool_call_complete tool=x duration_ms=1 success=True target=net",
            "another line",
        ),
        (
            "2025-12-15 03:19:35 INFO tool_call_complete tool=x success=True",
            "field `duration_ms` is missing",
        ),
        (
            "2025-12-15 03:19:35 INFO tool_call_complete tool=x duration_ms=-1 success=True",
            "field `duration_ms`: not a number that could stand there",
        ),
        (
            "2025-12-15 03:19:35 INFO tool_call_complete tool=x duration_ms=18446744073709551616 success=True",
            "field `duration_ms`: not a number that could stand there",
        ),
        (
            "2025-12-15 03:19:35 INFO tool_call_complete tool=x duration_ms=1 success=yes",
            "field `success`: neither True nor False",
        ),
        (
            "2025-12-15 03:19",
            "no log line: column 1: expected a timestamp such as `2025-12-15 03:19:33`",
        ),
    ] {
        assert_eq!(reason(line), expected, "{line}");
    }
}
