//! The line as a whole: canonical bytes, round trips, and what hostile files do to a reader.

use std::{borrow::Cow, io, time::Duration};

use proptest::{option, prelude::*};

use crate::{
    CallTime, Decimal, Decoded, ErrorText, Event, EventReader, LineContent, LineFault, LlmCall,
    Outcome, SpanId, Timestamp, ToolCall, TraceFields, TraceId, Usage, decode,
    decode::decode_carefully, scan::scan,
};

const SEED: &str = include_str!("../testdata/seed-metrics.jsonl");
const PYTHON: &str = include_str!("../testdata/original-python-metrics.jsonl");
const HOSTILE: &str = include_str!("../testdata/hostile-strings.json");

fn event(line: &str) -> Event<'_> {
    match decode(line.as_bytes()) {
        Ok(Decoded::Event(event)) => event,
        other => panic!("{other:?}: {line}"),
    }
}

#[test]
fn the_seeds_lines_round_trip_byte_for_byte() {
    for line in SEED.lines() {
        assert_eq!(event(line).to_line(), line);
        assert_eq!(serde_json::to_string(&event(line)).unwrap(), line);
    }
}

#[test]
fn the_seeds_python_files_are_read() {
    let lines: Vec<_> = PYTHON.lines().map(|it| event(it).to_line()).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"event":"llm_call","phase":"tool_decision","model":"gpt-5-mini","start_ts":"2025-12-15T04:08:08.000000Z","end_ts":"2025-12-15T04:08:09.234567Z","duration_ms":1234,"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323}
    {"event":"tool_call","tool":"ssh_exec","start_ts":"2025-12-15T04:08:09.300000Z","end_ts":"2025-12-15T04:08:28.800000Z","duration_ms":19500,"success":true}
    {"event":"tool_call","tool":"http_request","start_ts":"2025-12-15T04:08:29.000000Z","end_ts":"2025-12-15T04:08:59.000123Z","duration_ms":30000,"success":false,"error":"Connection refused: http://cube:9000/ — \"no route\""}
    {"event":"llm_call","phase":"synthesis","model":"gpt-5-mini","start_ts":"2025-12-15T04:09:00.000000Z","end_ts":"2025-12-15T04:09:04.000000Z","duration_ms":4000,"prompt_tokens":2345,"completion_tokens":210,"total_tokens":2555}
    {"event":"llm_call","phase":"summary","model":"gpt-5-mini","start_ts":"2025-12-15T04:09:04.100000Z","end_ts":"2025-12-15T04:09:04.800001Z","duration_ms":700}
    "#);
}

#[test]
fn every_field_stands_in_its_place() {
    let time = CallTime::new(
        "2025-12-15T23:59:59.999999Z".parse().unwrap(),
        Duration::from_micros(2),
    );
    let trace = TraceFields {
        trace_id: "0af7651916cd43dd8448eb211c80319c".parse().ok(),
        span_id: "b7ad6b7169203331".parse().ok(),
        parent_span_id: "00f067aa0ba902b7".parse().ok(),
    };
    let mut llm = LlmCall::new("initial", "gpt-5-mini", time);
    llm.usage = Usage {
        cached_tokens: Some(4),
        cache_write_tokens: Some(5),
        reasoning_tokens: Some(6),
        ..Usage::new(1, 2)
    };
    llm.ttft_ms = Some(7);
    llm.provider = Some("openai".into());
    llm.attempt = Some(2);
    llm.outcome = Outcome::failure("HTTP 429");
    llm.cost_usd = Some(Decimal::new(48650, 8));
    llm.trace = trace;
    let mut tool = ToolCall::new("ssh_exec", time);
    tool.outcome = Outcome::failure("no route");
    tool.tool_call_id = Some("call_1".into());
    tool.trace = trace;
    insta::assert_snapshot!(Event::from(llm).to_line(), @r#"{"event":"llm_call","phase":"initial","model":"gpt-5-mini","start_ts":"2025-12-15T23:59:59.999999Z","end_ts":"2025-12-16T00:00:00.000001Z","duration_ms":0,"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cached_tokens":4,"cache_write_tokens":5,"reasoning_tokens":6,"ttft_ms":7,"provider":"openai","attempt":2,"success":false,"error":"HTTP 429","cost_usd":0.00048650,"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","parent_span_id":"00f067aa0ba902b7"}"#);
    insta::assert_snapshot!(Event::from(tool).to_line(), @r#"{"event":"tool_call","tool":"ssh_exec","start_ts":"2025-12-15T23:59:59.999999Z","end_ts":"2025-12-16T00:00:00.000001Z","duration_ms":0,"success":false,"error":"no route","tool_call_id":"call_1","trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"b7ad6b7169203331","parent_span_id":"00f067aa0ba902b7"}"#);
}

#[test]
fn a_foreign_line_loses_nothing_when_rewritten() {
    let line = r#" { "zone" : {"a" : [1, 2.50, "x y"]}, "success":true, "error":"but", "tool":"t", "event":"tool_call",
        "duration_ms": 5, "end_ts":"2025-12-15T05:00:00+01:00", "start_ts":"2025-12-15T04:00:00Z", "big": 123456789012345678901234567890,
        "prompt_tokens": 3, "trace_id": "not hex", "tool_call_id": null } "#;
    let event = event(line);
    assert_eq!(event.time().duration_ms(), 5, "its own, not the stamps'");
    insta::assert_snapshot!(event.to_line(), @r#"{"event":"tool_call","tool":"t","start_ts":"2025-12-15T04:00:00.000000Z","end_ts":"2025-12-15T04:00:00.000000Z","duration_ms":5,"success":true,"zone":{"a":[1,2.50,"x y"]},"big":123456789012345678901234567890,"trace_id":"not hex","prompt_tokens":3,"error":"but"}"#);
    assert_eq!(
        decode(event.to_line().as_bytes()),
        Ok(Decoded::Event(event))
    );
}

#[test]
fn a_foreign_success_with_an_error_stays_a_success() {
    let line = r#"{"event":"llm_call","phase":"initial","model":"m","start_ts":"2025-12-15T04:00:00Z","end_ts":"2025-12-15T04:00:00Z","duration_ms":0,"error":"a warning","success":true}"#;
    let event = event(line);
    assert!(event.outcome().is_success());
    assert_eq!(
        decode(event.to_line().as_bytes()),
        Ok(Decoded::Event(event))
    );
}

#[test]
fn an_unknown_event_may_use_our_keys_in_its_own_way() {
    for line in [
        r#"{"event":"checkpoint","duration_ms":1.5,"error":{"code":3}}"#,
        r#"{"start_ts":"yesterday","event":"checkpoint"}"#,
    ] {
        assert_eq!(
            decode(line.as_bytes()),
            Ok(Decoded::Unknown("checkpoint".into()))
        );
    }
    assert!(decode(br#"["checkpoint"]"#).is_err());
    assert!(decode(br#"{"event":"checkpoint","torn":"#).is_err());
}

#[test]
fn a_fault_quotes_a_hostile_line_briefly_and_harmlessly() {
    for value in [
        format!(r#""duration_ms":"{}""#, "x".repeat(1_000_000)),
        format!(r#""cost_usd":"{}""#, "\u{9b}\u{202e}".repeat(1_000_000)),
        format!(
            r#""start_ts":"{}""#,
            r"\u001b[31m\n\u202e".repeat(1_000_000)
        ),
    ] {
        let line = format!(r#"{{"event":"llm_call",{value}}}"#);
        let fault = decode(line.as_bytes()).unwrap_err().to_string();
        assert!(fault.chars().count() < 2000, "{} bytes", fault.len());
        let ends = fault.rsplit_once(" at column ").is_some();
        assert!(ends, "the column is what survives: {fault}");
        assert!(
            fault
                .chars()
                .all(|it| it == ' ' || it.is_ascii_graphic() || it == '…'),
            "{fault}"
        );
    }
}

#[test]
fn an_error_is_formatted_no_further_than_it_is_kept() {
    struct Endless(std::cell::Cell<u32>);
    impl std::fmt::Display for Endless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            while self.0.get() < 1_000_000 {
                self.0.update(|it| it + 1);
                f.write_str("é…")?;
            }
            Ok(())
        }
    }
    let endless = Endless(std::cell::Cell::new(0));
    let text = ErrorText::from_display(&endless);
    assert_eq!(text.as_str().chars().count(), 2000);
    assert!(endless.0.get() < 5_000);
    let whole = "😀".repeat(2000);
    assert_eq!(ErrorText::from_display(&whole), ErrorText::new(&*whole));
    let long = "😀".repeat(2001);
    assert_eq!(ErrorText::from_display(&long), ErrorText::new(&*long));
}

#[test]
fn a_display_that_fails_gives_what_it_wrote() {
    struct Fails;
    impl std::fmt::Display for Fails {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("HTTP 5")?;
            Err(std::fmt::Error)
        }
    }
    assert_eq!(ErrorText::from_display(&Fails).as_str(), "HTTP 5");
}

#[test]
fn an_error_is_cut_when_the_event_is_made() {
    let long = "é".repeat(1_000_000);
    let outcome = Outcome::failure(long);
    let error = outcome.error().unwrap();
    assert_eq!(error.chars().count(), 2000);
    assert!(error.ends_with("é…"));
    let just_fits = "é".repeat(2000);
    assert_eq!(Outcome::failure(&*just_fits).error(), Some(&*just_fits));
}

#[test]
fn an_unusable_line_says_what_is_wrong() {
    let base = |more: &str| {
        format!(
            r#"{{"event":"tool_call","tool":"t","start_ts":"2025-12-15T04:00:00Z","end_ts":"2025-12-15T04:00:00Z","success":true{more}}}"#
        )
    };
    let fault = |line: &str| decode(line.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!(fault(&base("")), @"field `duration_ms` is missing");
    insta::assert_snapshot!(fault(&base(r#","duration_ms":-1"#)), @"field `duration_ms`: invalid value: integer `-1`, expected u64 at column 129");
    insta::assert_snapshot!(fault(&base(r#","duration_ms":1e400"#)), @"field `duration_ms`: number out of range at column 132");
    insta::assert_snapshot!(fault(&base(r#","duration_ms":18446744073709551616"#)), @"field `duration_ms`: invalid type: floating point `1.8446744073709552e+19`, expected u64 at column 147");
    insta::assert_snapshot!(fault(&base(r#","duration_ms":1,"duration_ms":2"#)), @"duplicate field `duration_ms` at column 145");
    insta::assert_snapshot!(fault(&base(r#","duration_ms":1,"tool":"\ud800""#)), @"field `tool`: unexpected end of hex escape at column 144");
    insta::assert_snapshot!(fault(r#"{"event":"llm_call","start_ts":"yesterday"}"#), @"field `start_ts`: `yesterday` is not a timestamp with a zone, such as `2025-12-15T04:08:08.123456Z` at column 42");
    insta::assert_snapshot!(fault(r#"{"event":"llm_call","cost_usd":1e400}"#), @"field `cost_usd`: `1e400` is not an amount of money at column 37");
    insta::assert_snapshot!(fault("[1]"), @"invalid type: sequence, expected an event as a JSON object at column 0");
    insta::assert_snapshot!(fault("\0\0\0\0"), @"expected value at column 1");
    assert_eq!(
        decode(br#"{"event":"checkpoint","n":1}"#),
        Ok(Decoded::Unknown("checkpoint".into()))
    );
    assert!(decode(&b"[".repeat(100_000)).is_err());
}

/// What a reader made of a file: event names or faults, with number and offset.
fn read(file: &[u8], max_line_bytes: usize) -> Vec<(u64, u64, String)> {
    let mut reader =
        EventReader::new(io::BufReader::with_capacity(7, file)).max_line_bytes(max_line_bytes);
    let mut seen = Vec::new();
    let mut note = |line: crate::Line<'_>| {
        let text = match line.content {
            LineContent::Event(event) => event.time().duration_ms().to_string(),
            LineContent::Unknown(name) => name,
            LineContent::Unusable(fault) => fault.to_string(),
        };
        seen.push((line.number, line.offset, text));
    };
    while let Some(line) = reader.next_line().unwrap() {
        note(line);
    }
    if let Some(line) = reader.unfinished() {
        note(line);
    }
    seen
}

#[test]
fn a_damaged_file_is_read_to_its_end() {
    let good = SEED.lines().next().unwrap();
    let file = format!(
        "\u{feff}{good}\r\n\n{}\n{{\"event\":\"other\"}}\n{good}\n{{\"event\":\"ll",
        "x".repeat(500)
    );
    insta::assert_debug_snapshot!(read(file.as_bytes(), 400), @r#"
    [
        (
            1,
            0,
            "111",
        ),
        (
            3,
            227,
            "longer than 400 bytes",
        ),
        (
            4,
            728,
            "other",
        ),
        (
            5,
            746,
            "111",
        ),
        (
            6,
            968,
            "torn: the file ends within this line",
        ),
    ]
    "#);
}

#[test]
fn a_file_of_white_space_says_nothing() {
    for file in ["", " ", "\r\n", "\u{feff}", "\u{feff}\r\n\n \t"] {
        assert_eq!(read(file.as_bytes(), 100), [], "{file:?}");
    }
    assert_eq!(read(b"\0\0\0", 100).len(), 1, "a block of zeros is damage");
}

#[test]
fn a_last_line_without_its_end_is_used_if_it_is_whole() {
    assert_eq!(read(SEED.trim_end().as_bytes(), 1000).len(), 3);
    assert_eq!(
        read(SEED.trim_end().as_bytes(), 1000),
        read(SEED.as_bytes(), 1000)
    );
}

/// Gives out the parts one by one, with an end of file after each.
struct Growing(Vec<Vec<u8>>);

impl io::Read for Growing {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(part) = self.0.first_mut() else {
            return Ok(0);
        };
        if part.is_empty() {
            self.0.remove(0);
            return Ok(0);
        }
        let n = part.len().min(out.len());
        out[..n].copy_from_slice(&part[..n]);
        part.drain(..n);
        Ok(n)
    }
}

#[test]
fn a_growing_file_is_read_on() {
    let (head, tail) = SEED.split_at(100);
    let growing = Growing(vec![head.into(), tail.into()]);
    let mut reader = EventReader::new(io::BufReader::new(growing));
    assert_eq!(
        reader.next_line().unwrap(),
        None,
        "the first line is not whole yet"
    );
    let mut offsets = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        assert!(matches!(line.content, LineContent::Event(_)));
        offsets.push(line.offset);
    }
    let starts: Vec<_> = SEED
        .lines()
        .scan(0, |next, line| {
            let start = *next;
            *next += line.len() as u64 + 1;
            Some(start)
        })
        .collect();
    assert_eq!(offsets, starts);
    assert_eq!(reader.unfinished(), None);
}

#[test]
fn hostile_strings_survive_in_every_text() {
    let strings: Vec<String> = serde_json::from_str(HOSTILE).unwrap();
    assert!(strings.len() > 50);
    for text in &strings {
        let time = CallTime::new(Timestamp::UNIX_EPOCH, Duration::ZERO);
        let mut llm = LlmCall::new(&**text, &**text, time);
        llm.provider = Some((&**text).into());
        llm.outcome = Outcome::failure(&**text);
        let mut tool = ToolCall::new(&**text, time);
        tool.tool_call_id = Some(Cow::Borrowed(text));
        for event in [Event::from(llm), Event::from(tool)] {
            let line = event.to_line();
            assert_eq!(line, serde_json::to_string(&event).unwrap());
            assert!(!line.contains('\n'));
            assert_eq!(decode(line.as_bytes()), Ok(Decoded::Event(event)));
        }
    }
}

prop_compose! {
    fn any_time()(micros in any::<i64>(), nanos in any::<u64>(), other in any::<i64>(), foreign in any::<bool>()) -> CallTime {
        let start = Timestamp::from_unix_micros(micros);
        if foreign {
            CallTime::as_written(start, Timestamp::from_unix_micros(other), nanos)
        } else {
            CallTime::new(start, Duration::from_nanos(nanos))
        }
    }
}

prop_compose! {
    fn any_trace()(trace in option::of(any::<[u8; 16]>()), span in option::of(any::<[u8; 8]>()), parent in option::of(any::<[u8; 8]>())) -> TraceFields {
        TraceFields {
            trace_id: trace.and_then(TraceId::from_bytes),
            span_id: span.and_then(SpanId::from_bytes),
            parent_span_id: parent.and_then(SpanId::from_bytes),
        }
    }
}

fn any_outcome() -> impl Strategy<Value = Outcome<'static>> {
    option::of(any::<String>()).prop_map(|it| it.map_or(Outcome::Success, Outcome::failure))
}

prop_compose! {
    fn any_llm_call()(
        (phase, model) in any::<(String, String)>(),
        time in any_time(),
        counts in any::<[Option<u64>; 7]>(),
        provider in option::of(any::<String>()),
        attempt in any::<Option<u32>>(),
        outcome in any_outcome(),
        cost in option::of((any::<i64>(), 0_u32..=28)),
        trace in any_trace(),
    ) -> Event<'static> {
        let mut call = LlmCall::new(phase, model, time);
        call.usage = Usage {
            prompt_tokens: counts[0],
            completion_tokens: counts[1],
            total_tokens: counts[2],
            cached_tokens: counts[3],
            cache_write_tokens: counts[4],
            reasoning_tokens: counts[5],
        };
        call.ttft_ms = counts[6];
        call.provider = provider.map(Into::into);
        call.attempt = attempt;
        call.outcome = outcome;
        call.cost_usd = cost.map(|(number, scale)| Decimal::new(number, scale));
        call.trace = trace;
        call.into()
    }
}

prop_compose! {
    /// The form that nearly every line has, so that a damaged one is damaged in telling places.
    fn plain_llm_call()(prompt in 0_u64..100_000, micros in 0_u64..10_000_000) -> Event<'static> {
        let start = "2025-12-15T04:08:08.123456Z".parse().unwrap();
        let mut call = LlmCall::new("initial", "gpt-5-mini", CallTime::new(start, Duration::from_micros(micros)));
        call.usage = Usage::new(prompt, 89);
        call.into()
    }
}

prop_compose! {
    fn any_tool_call()(
        tool in any::<String>(),
        time in any_time(),
        outcome in any_outcome(),
        id in option::of(any::<String>()),
        trace in any_trace(),
    ) -> Event<'static> {
        let mut call = ToolCall::new(tool, time);
        call.outcome = outcome;
        call.tool_call_id = id.map(Cow::Owned);
        call.trace = trace;
        call.into()
    }
}

proptest! {
    #[test]
    fn every_written_event_reads_back(event in prop_oneof![any_llm_call(), any_tool_call()]) {
        let line = event.to_line();
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(&serde_json::to_string(&event).unwrap(), &line);
        prop_assert_eq!(&serde_json::from_str::<Event<'_>>(&line).unwrap(), &event);
        prop_assert_eq!(decode(line.as_bytes()), Ok(Decoded::Event(event)));
    }

    #[test]
    fn any_bytes_are_read_to_their_end(file in any::<Vec<u8>>(), limit in 0_usize..64) {
        for (_, offset, _) in read(&file, limit) {
            prop_assert!(offset <= file.len() as u64);
        }
    }

    #[test]
    fn damaged_lines_are_read_to_their_end(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut file = SEED.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(file.len());
            file[at] = byte;
        }
        let lines = file.split(|it| *it == b'\n').filter(|it| !it.trim_ascii().is_empty()).count();
        prop_assert_eq!(read(&file, 10_000).len(), lines);
    }

    #[test]
    fn the_quick_scan_reads_what_the_careful_decoder_reads(
        event in prop_oneof![any_llm_call(), any_tool_call(), plain_llm_call()],
        spaces in any::<bool>(),
        damage in option::of((any::<proptest::sample::Index>(), any::<u8>())),
    ) {
        let mut line = event.to_line();
        if spaces {
            line = line.replace(",\"", " ,\t\"").replace("\":", "\" : ");
        }
        let mut line = line.into_bytes();
        if let Some((at, byte)) = damage {
            let at = at.index(line.len());
            line[at] = byte;
        }
        if let Some(scanned) = scan(&line) {
            prop_assert_eq!(decode_carefully(&line), Ok(Decoded::Event(scanned)));
        }
    }

    #[test]
    fn a_line_of_any_json_is_used_or_refused(
        key in "[a-z_]{1,14}", value in "(null|true|-?[0-9]{1,40}(\\.[0-9]+)?(e[0-9]{1,4})?|\"[^\"]*\"|\\[\\]|\\{\\})",
    ) {
        let line = SEED.lines().next().unwrap().replacen('{', &format!("{{\"{key}\":{value},"), 1);
        if let Ok(Decoded::Event(event)) = decode(line.as_bytes()) {
            let rewritten = event.to_line();
            prop_assert_eq!(decode(rewritten.as_bytes()), Ok(Decoded::Event(event)));
        }
    }
}

#[test]
fn a_fault_is_worded_for_a_person() {
    assert_eq!(
        LineFault::Missing("tool").to_string(),
        "field `tool` is missing"
    );
}

#[test]
fn the_readmes_example_is_the_crates_doctest() {
    let visible: String = include_str!("lib.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .filter(|line| !line.starts_with("# "))
        .flat_map(|line| [line, "\n"])
        .collect();
    let (_, example) = include_str!("../README.md")
        .split_once("```rust\n")
        .unwrap();
    let (example, _) = example.split_once("```").unwrap();
    assert!(visible.contains(example), "{example}\n---\n{visible}");
}

#[test]
fn plain_lines_take_the_quick_way() {
    for line in SEED.lines().chain(PYTHON.lines()) {
        let quick = scan(line.as_bytes());
        // Python writes other characters than ASCII as escapes: those are not plain.
        assert_eq!(quick.is_some(), !line.contains('\\'), "{line}");
    }
}
