//! The quick reader answers as `metrics-core` does, or not at all.

use std::time::Duration;

use metrics_core::{
    CallTime, Decoded, Event, LlmCall, Outcome, Timestamp, ToolCall, TraceFields, Usage, decode,
};
use proptest::{option, prelude::*};

use super::{FastReader, digits_in_form, number, text};
use crate::Record;

const SEED: &str = include_str!("../../testdata/seed-metrics.jsonl");

/// A line with room behind it, as it stands in a buffer.
fn padded(line: &[u8]) -> Vec<u8> {
    let mut text = line.to_vec();
    text.extend_from_slice(b"\n{\"event\":\"tool_call\",\"tool\":\"next\"");
    text
}

/// Checks the quick reader's answer; whether it gave one.
fn agrees(line: &[u8]) -> Result<bool, TestCaseError> {
    let text = padded(line);
    let mut record = Record::EMPTY;
    let Some(len) = FastReader::default().read(&text, &mut record) else {
        return Ok(false);
    };
    prop_assert_eq!(len, line.len() + 1);
    match decode(line) {
        Ok(Decoded::Event(event)) => prop_assert_eq!(Some(record), Record::of_event(&event)),
        other => prop_assert!(false, "{:?} for {:?}", other, record),
    }
    Ok(true)
}

prop_compose! {
    fn any_time()(start in any::<i64>(), len in 0..10_000_000_000_u64, odd in any::<bool>(), other in any::<i64>(), ms in any::<u64>()) -> CallTime {
        let start = Timestamp::from_unix_micros(start);
        if odd {
            return CallTime::as_written(start, Timestamp::from_unix_micros(other), ms);
        }
        CallTime::new(start, Duration::from_micros(len))
    }
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,40}", "[a-z-]{1,20}", ".{0,10}"]
}

fn any_number() -> impl Strategy<Value = Option<u64>> {
    option::of(prop_oneof![0..10_u64, 0..100_000_u64, any::<u64>()])
}

fn any_outcome() -> impl Strategy<Value = Outcome<'static>> {
    option::of(any_name()).prop_map(|it| it.map_or(Outcome::Success, Outcome::failure))
}

prop_compose! {
    fn any_llm_call()(
        phase in any_name(), model in any_name(), time in any_time(),
        counts in [any_number(), any_number(), any_number(), any_number(), any_number(), any_number(), any_number()],
        provider in option::of(any_name()), attempt in option::of(any::<u32>()), outcome in any_outcome(),
        cost in option::of((any::<u32>(), 0..20_u32)), span in option::of(any::<[u8; 8]>()),
    ) -> Event<'static> {
        let mut call = LlmCall::new(phase, model, time);
        let [prompt_tokens, completion_tokens, total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, ttft_ms] = counts;
        call.usage = Usage { prompt_tokens, completion_tokens, total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens };
        call.ttft_ms = ttft_ms;
        call.provider = provider.map(Into::into);
        call.attempt = attempt;
        call.outcome = outcome;
        call.cost_usd = cost.map(|(digits, scale)| metrics_core::Decimal::new(digits.into(), scale));
        call.trace = TraceFields { span_id: span.and_then(|it| format!("{:016x}", u64::from_le_bytes(it)).parse().ok()), ..TraceFields::default() };
        call.into()
    }
}

prop_compose! {
    fn any_tool_call()(tool in any_name(), time in any_time(), outcome in any_outcome(), id in option::of(any_name())) -> Event<'static> {
        let mut call = ToolCall::new(tool, time);
        call.outcome = outcome;
        call.tool_call_id = id.map(Into::into);
        call.into()
    }
}

pub(super) fn any_event() -> impl Strategy<Value = Event<'static>> {
    prop_oneof![any_llm_call(), any_tool_call()]
}

proptest! {
    #[test]
    fn a_canonical_line_is_read_as_metrics_core_reads_it(event in any_event()) {
        agrees(event.to_line().as_bytes())?;
    }

    #[test]
    fn a_damaged_line_is_read_as_metrics_core_reads_it_or_not_at_all(
        event in any_event(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..4),
    ) {
        let mut line = event.to_line().into_bytes();
        for (at, kind, byte) in damage {
            let at = at.index(line.len());
            match kind {
                0 => line[at] = byte,
                1 => line[at] = b"0123456789\"\\,:{}-+.eE nulltrue"[usize::from(byte) % 30],
                2 => drop(line.remove(at)),
                _ => line.insert(at, byte),
            }
        }
        line.retain(|it| *it != b'\n');
        agrees(&line)?;
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = FastReader::default().read(&bytes, &mut { Record::EMPTY });
    }
}

/// Otherwise the properties above would hold for a reader that gives up on everything.
#[test]
fn lines_of_ours_are_read_quickly() {
    let more = [
        r#"{"event":"llm_call","phase":"initial","model":"m","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.234567Z","duration_ms":111,"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cached_tokens":4,"cache_write_tokens":5,"reasoning_tokens":6,"ttft_ms":7,"provider":"openai","attempt":2,"success":false,"error":"HTTP 503","cost_usd":0.0012,"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","parent_span_id":"00f067aa0ba902b7"}"#,
        r#"{"event":"tool_call","tool":"ssh_exec","start_ts":"2025-12-15T04:08:08.345678Z","end_ts":"2025-12-16T04:08:09.456789Z","duration_ms":86401111,"success":false,"error":"a text of more than sixteen characters","tool_call_id":"call_1"}"#,
        r#"{"event":"tool_call","tool":"ssh_exec","start_ts":"2025-12-15T04:08:08.345678Z","end_ts":"2025-12-15T04:08:09.456789Z","duration_ms":123456789012345678,"success":true}"#,
        r#"{"event":"llm_call","phase":"summary","model":"m","start_ts":"2024-02-29T23:59:59.999999Z","end_ts":"2024-02-29T23:59:59.999999Z","duration_ms":0}"#,
    ];
    for line in SEED.lines().chain(more) {
        assert!(agrees(line.as_bytes()).unwrap(), "{line}");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for stamp in [
        "2025-02-29T00:00:00.000000Z",
        "2025-12-15T24:00:00.000000Z",
        "2025-12-15T23:60:00.000000Z",
        "2025-12-15T23:59:60.000000Z",
        "2025-12-15 23:59:59.000000Z",
        "2025-12-15T23:59:59.00000aZ",
        "2025-13-15T23:59:59.000000Z",
    ] {
        let line = SEED.lines().next().unwrap();
        let line = line.replace("2025-12-15T04:08:08.123456Z", stamp);
        assert!(!agrees(line.as_bytes()).unwrap(), "{stamp}");
        // Also by a reader that knows the date already.
        let mut reader = FastReader::default();
        let good = padded(SEED.lines().next().unwrap().as_bytes());
        assert!(reader.read(&good, &mut { Record::EMPTY }).is_some());
        let bad = padded(line.as_bytes());
        assert_eq!(reader.read(&bad, &mut { Record::EMPTY }), None, "{stamp}");
    }
}

#[test]
fn numbers_and_texts_end_where_they_end() {
    let behind = b"}\n padding enough";
    for (digits, expected) in [
        ("0", Some(0)),
        ("7", Some(7)),
        ("1234567", Some(1_234_567)),
        ("12345678", Some(12_345_678)),
        ("999999999999999999", Some(999_999_999_999_999_999)),
        ("00", None),
        ("07", None),
        ("", None),
        ("-1", None),
        ("1000000000000000000", None),
        ("00000000000", None),
    ] {
        let line = [digits.as_bytes(), behind].concat();
        let read = number(&line).map(|(value, rest)| (value, rest.len()));
        assert_eq!(read, expected.map(|it| (it, behind.len())), "{digits}");
    }
    for (quoted, expected) in [
        ("\"", Some("")),
        ("fifteen letters\"", Some("fifteen letters")),
        ("sixteen letters!\"", Some("sixteen letters!")),
        ("a\\\"", None),
        ("a\tb\"", None),
        ("ä\"", None),
    ] {
        let line = [quoted.as_bytes(), behind].concat();
        let read = text(&line).map(|(text, _)| text);
        assert_eq!(read, expected.map(str::as_bytes), "{quoted}");
    }
    assert!(digits_in_form(*b"23:59:59", *b"29:59:59").is_some());
    assert!(digits_in_form(*b"23:59:5\xb9", *b"29:59:59").is_none());
}
