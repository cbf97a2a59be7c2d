//! The quick reader of log lines answers as the parser does, or not at all.

use proptest::prelude::*;

use super::{LogContent, LogReader, read_carefully};
use crate::Kind;

const SEED: &str = include_str!("../../testdata/seed-backend.log");
const TAIL: &str = " event=llm_call_complete";

/// Checks the quick reader's answer; whether it gave one.
fn agrees(line: &[u8]) -> bool {
    let Some(record) = LogReader::default().read_fast(line) else {
        return false;
    };
    read_carefully(line, |content| {
        assert_eq!(content, LogContent::Call(record));
    });
    true
}

#[test]
fn the_seeds_lines_are_read_quickly() {
    for line in SEED.lines() {
        assert!(agrees(line.as_bytes()), "{line}");
        assert!(agrees(format!("{line}{TAIL}").as_bytes()), "{line}");
    }
    let [llm, tool] = *SEED.lines().collect::<Vec<_>>() else {
        panic!("two lines");
    };
    let llm = LogReader::default().read_fast(llm.as_bytes()).unwrap();
    assert_eq!(
        (llm.kind, llm.name, llm.duration_ms),
        (Kind::LlmCall, &b"gpt-5-mini"[..], 19_500)
    );
    assert_eq!(llm.usage.total_tokens, Some(1323));
    assert_eq!(llm.worker, Some(&b"2025-12-15T03-19-12_backup"[..]));
    assert_eq!(llm.end.unix_micros() - llm.start.unix_micros(), 19_500_000);
    let tool = LogReader::default().read_fast(tool.as_bytes()).unwrap();
    assert_eq!(
        (tool.kind, tool.name, tool.success),
        (Kind::ToolCall, &b"ssh_exec"[..], true)
    );
}

#[test]
fn quotes_are_for_the_parser() {
    let line = b"2025-12-15 03:19:34 WARN tool_call_complete tool=ssh_exec duration_ms=1234 success=False worker_id=w error=\"exit code 1\" event=tool_call_complete";
    assert!(!agrees(line));
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
        assert!(!agrees(line.as_bytes()), "{line}");
    }
}

proptest! {
    #[test]
    fn a_damaged_line_is_read_as_the_parser_reads_it_or_not_at_all(
        which in 0..2_usize,
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 1..4),
    ) {
        let line = SEED.lines().nth(which).unwrap_or_default();
        let mut line = format!("{line}{TAIL}").into_bytes();
        for (at, kind, byte) in damage {
            let at = at.index(line.len());
            match kind {
                0 => line[at] = b"0123456789\"\\,:= -+.eETaz\x1b"[usize::from(byte) % 25],
                1 => drop(line.remove(at)),
                _ => line.insert(at, byte),
            }
        }
        line.retain(|it| *it != b'\n');
        agrees(&line);
    }
}
