//! The quick reader of log lines answers as the parser does, or not at all.

use std::sync::{Arc, Mutex, PoisonError};

use log_format::LogFormat;
use metrics_collector::log_worker_death;
use metrics_core::{Event, decode};
use proptest::prelude::*;
use tracing::Subscriber;
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt as _},
};

use super::FastLogReader;
use crate::{
    Kind, Record,
    fast::tests::any_event,
    log_line::{LogContent, read_carefully},
};

const SEED: &str = include_str!("../../../testdata/seed-backend.log");

/// Keeps what is logged as lines of ours.
struct Lines(Arc<Mutex<Vec<u8>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        LogFormat::new().write_event(event, &mut lines);
    }
}

/// The line that is logged for a call, without its end.
fn written(event: &Event<'_>, worker: &str) -> String {
    let lines = Arc::default();
    let subscriber = Registry::default().with(Lines(Arc::clone(&lines)));
    tracing::subscriber::with_default(subscriber, || log_worker_death(&worker.into(), [event]));
    let lines = lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let lines = String::from_utf8(lines).unwrap();
    lines.lines().next().unwrap().to_owned()
}

/// Reads one line, with others behind it as in a buffer.
fn read<T>(line: &[u8], take: impl FnOnce(Option<(usize, Record<'_>)>) -> T) -> T {
    let text = [line, b"\n", SEED.as_bytes()].concat();
    let mut record = Record::EMPTY;
    let len = FastLogReader::default().read(&text, &mut record);
    take(len.map(|len| (len, record)))
}

/// Checks the quick reader's answer; whether it gave one.
fn agrees(line: &[u8]) -> bool {
    read(line, |read| {
        let Some((len, record)) = read else {
            return false;
        };
        let shown = String::from_utf8_lossy(line);
        assert_eq!(len, line.len() + 1, "{shown}");
        read_carefully(line, |content| {
            assert_eq!(content, LogContent::Call(record), "{shown}");
        });
        true
    })
}

/// Each kind of call with little and with all that can be known.
fn all_kinds() -> Vec<String> {
    let events = [
        r#"{"event":"llm_call","phase":"initial","model":"m","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.234567Z","duration_ms":111}"#,
        r#"{"event":"llm_call","phase":"initial","model":"gpt-5-mini","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.234567Z","duration_ms":111,"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323}"#,
        r#"{"event":"llm_call","phase":"initial","model":"m","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-16T04:08:08.234567Z","duration_ms":86400111,"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cached_tokens":4,"cache_write_tokens":5,"reasoning_tokens":6,"ttft_ms":7,"provider":"openai","attempt":2,"success":false,"error":"HTTP 503: try again","cost_usd":0.0012,"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","parent_span_id":"00f067aa0ba902b7"}"#,
        r#"{"event":"llm_call","phase":"initial","model":"m","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.234567Z","duration_ms":111,"success":false}"#,
        r#"{"event":"tool_call","tool":"ssh_exec","start_ts":"2025-12-15T04:08:08.345678Z","end_ts":"2025-12-15T04:08:09.456789Z","duration_ms":1111,"success":true}"#,
        r#"{"event":"tool_call","tool":"ssh_exec","start_ts":"2025-12-15T04:08:08.345678Z","end_ts":"2025-12-15T04:08:09.456789Z","duration_ms":1111,"success":false,"error":"timeout","tool_call_id":"call_1","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331"}"#,
    ];
    let event = |it: &str| match decode(it.as_bytes()) {
        Ok(metrics_core::Decoded::Event(event)) => event.into_owned(),
        other => panic!("{other:?}"),
    };
    let written = |it: &str| written(&event(it), "2025-12-15T03-19-12_backup");
    events.into_iter().map(written).collect()
}

#[test]
fn the_seeds_lines_are_read_quickly() {
    let [llm, tool] = *SEED.lines().collect::<Vec<_>>() else {
        panic!("two lines");
    };
    for line in [llm, tool] {
        assert!(agrees(line.as_bytes()), "{line}");
    }
    read(llm.as_bytes(), |read| {
        let (_, llm) = read.unwrap();
        assert_eq!(
            (llm.kind, llm.name, llm.duration_ms),
            (Kind::LlmCall, &b"gpt-5-mini"[..], 19_500)
        );
        assert_eq!(llm.usage.total_tokens, Some(1323));
        assert_eq!(llm.worker, Some(&b"2025-12-15T03-19-12_backup"[..]));
        assert_eq!(llm.end.unix_micros() - llm.start.unix_micros(), 19_500_000);
    });
    read(tool.as_bytes(), |read| {
        let (_, tool) = read.unwrap();
        assert_eq!(
            (tool.kind, tool.name, tool.success),
            (Kind::ToolCall, &b"ssh_exec"[..], true)
        );
    });
}

/// Otherwise the properties below would hold for a reader that gives up on everything.
#[test]
fn lines_of_ours_are_read_quickly() {
    for line in all_kinds() {
        assert!(agrees(line.as_bytes()), "{line}");
    }
}

#[test]
fn what_is_no_canonical_line_is_left_to_the_parser() {
    let line = all_kinds().remove(0);
    for (canonical, other) in [
        ("2025-12-15 ", "2025-12-15T"),
        ("2025-12-15 ", "2025-02-29 "),
        ("04:08:08", "24:00:00"),
        ("2025-12-15 04:08:08", "0000-01-01 00:00:00"),
        ("duration_ms=111", "duration_ms=9223372036854775"),
        (" INFO ", " ERROR "),
        (" model=m", " model="),
        (" model=m", " model=\"m"),
        (" model=m", " model=m\"m"),
        (" model=m", " model=m\u{7f}"),
        (" model=m", " model=\\x20"),
        (" model=m", " model=m model=n"),
        (" event=", " target="),
        (" event=llm_call_complete", " event=llm_call_complete "),
    ] {
        let other = line.replacen(canonical, other, 1);
        assert_ne!(line, other);
        assert!(!agrees(other.as_bytes()), "{other}");
    }
}

#[test]
fn a_line_that_is_cut_or_changed_anywhere_is_read_as_the_parser_reads_it_or_not_at_all() {
    for line in all_kinds() {
        for at in 0..line.len() {
            agrees(&line.as_bytes()[..at]);
            for byte in *b"09 ;=\"\\,.:-+TFlu\t\r\x7f\xff" {
                let mut line = line.clone().into_bytes();
                line[at] = byte;
                agrees(&line);
            }
        }
    }
}

proptest! {
    #[test]
    fn any_line_of_ours_is_read_as_the_parser_reads_it(event in any_event(), worker in "[ -~]{0,40}") {
        agrees(written(&event, &worker).as_bytes());
    }

    #[test]
    fn a_damaged_line_is_read_as_the_parser_reads_it_or_not_at_all(
        event in any_event(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..4),
    ) {
        let mut line = written(&event, "2025-12-15T03-19-12_backup").into_bytes();
        for (at, kind, byte) in damage {
            let at = at.index(line.len());
            match kind {
                0 => line[at] = b"0123456789\"\\,:= -+.eETaz\x1b"[usize::from(byte) % 25],
                1 => line[at] = byte,
                2 => drop(line.remove(at)),
                _ => line.insert(at, byte),
            }
        }
        line.retain(|it| *it != b'\n');
        agrees(&line);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = FastLogReader::default().read(&bytes, &mut { Record::EMPTY });
    }
}
