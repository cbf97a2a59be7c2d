//! What is read, what is refused, and that reading undoes writing.

use proptest::prelude::*;

use super::*;
use crate::buffer::Buffer;
use crate::escape::{push_key, push_message, push_value};
use crate::testing::{hostile_strings, line, stampless};

pub(crate) const SEED_LLM_LINE: &str = "2025-12-15 03:19:33 INFO llm_call_complete phase=tool_decision duration_ms=19500 worker_id=2025-12-15T03-19-12_backup model=gpt-5-mini prompt_tokens=1234 completion_tokens=89 total_tokens=1323";
pub(crate) const SEED_TOOL_LINE: &str = "2025-12-15 03:19:34 INFO tool_call_complete tool=ssh_exec duration_ms=1234 success=True worker_id=2025-12-15T03-19-12_backup";

#[test]
fn the_seed_lines_are_read() {
    let line = parse_line(SEED_LLM_LINE).unwrap();
    assert_eq!(line.timestamp, "2025-12-15 03:19:33");
    assert_eq!(line.unix_seconds, 1_765_768_773);
    assert_eq!(
        (line.level, line.message.as_ref()),
        (Level::INFO, "llm_call_complete")
    );
    let keys = line
        .fields
        .iter()
        .map(|(key, _)| *key)
        .collect::<Vec<_>>()
        .join(" ");
    assert_eq!(
        keys,
        "phase duration_ms worker_id model prompt_tokens completion_tokens total_tokens"
    );
    assert_eq!(line.get("total_tokens"), Some("1323"));
    assert!(line.is_telemetry());

    let line = parse_line(SEED_TOOL_LINE).unwrap();
    assert_eq!(
        (line.get("success"), line.get("error")),
        (Some("True"), None)
    );
}

#[test]
fn a_line_may_end_in_its_newline_and_have_no_fields() {
    let line = parse_line("2025-12-15 03:19:33 WARN just a message\n").unwrap();
    assert_eq!(
        (line.message.as_ref(), line.fields.len()),
        ("just a message", 0)
    );
    assert_eq!(parse_line("2025-12-15 03:19:33 WARN").unwrap().message, "");
}

#[test]
fn errors_name_the_column_and_the_reason() {
    let head = "2025-12-15 03:19:33 INFO ";
    for (line, wanted) in [
        (
            String::new(),
            "column 1: expected a timestamp such as `2025-12-15 03:19:33`",
        ),
        (
            "2025-12-15T03:19:33 INFO x".to_owned(),
            "column 1: expected a timestamp such as `2025-12-15 03:19:33`",
        ),
        (
            "2025-12-15 03:19:33 NOTE x".to_owned(),
            "column 20: expected a space and one of `ERROR`, `WARN`, `INFO`, `DEBUG`, `TRACE`",
        ),
        (
            format!("{head}x a= b=1"),
            "column 30: expected a value; an empty one is written `\"\"`",
        ),
        (
            format!("{head}é a=\"b"),
            "column 32: the quoted value does not end",
        ),
        (
            format!("{head}x a=\"b\"c"),
            "column 33: expected a space or the end of the line after the closing quote",
        ),
        (
            format!("{head}x a=\"\\q\""),
            "column 31: not an escape this format knows",
        ),
        (
            format!("{head}x a=\"\\u{{110000}}\""),
            "column 31: not an escape this format knows",
        ),
        (
            format!("{head}x a=b=c"),
            "column 31: a character that must be escaped",
        ),
        (
            format!("{head}x a=b\"c"),
            "column 31: a character that must be escaped",
        ),
        (
            format!("{head}x a=1 b"),
            "column 33: expected a key of the characters `A-Z a-z 0-9 _ .` and an equals sign",
        ),
        (
            format!("{head}x a-b=1"),
            "column 29: expected a key of the characters `A-Z a-z 0-9 _ .` and an equals sign",
        ),
        (
            format!("{head}x\ty"),
            "column 27: a character that must be escaped",
        ),
        (
            format!("{head}x a=1 "),
            "column 32: expected a key of the characters `A-Z a-z 0-9 _ .` and an equals sign",
        ),
    ] {
        assert_eq!(
            parse_line(&line).unwrap_err().to_string(),
            wanted,
            "{line:?}"
        );
    }
}

#[test]
fn hostile_strings_come_back_from_every_value_and_the_message() {
    for text in hostile_strings() {
        let line = line(|| {
            tracing::info!(
                target: "triscope::telemetry", end_unix_us = 0, model = text, tool = %text, phase = text.as_str(),
                worker_id = text, error = text, event = "e", "{text}"
            );
        });
        let parsed = parse_line(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert_eq!(parsed.message, text);
        for key in ["model", "tool", "phase", "worker_id", "error"] {
            assert_eq!(parsed.get(key), Some(text.as_str()), "{line:?}");
        }
        let keys = parsed
            .fields
            .iter()
            .map(|(key, _)| *key)
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(keys, "model tool phase worker_id error event");
        // What the seed's `grep -o "model=[^ ]*"` cuts out is the whole value.
        let model = line
            .split(" model=")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        let again = format!("{} INFO model={model}", &line[..STAMP_LEN]);
        assert_eq!(
            parse_line(&again).unwrap().get("model"),
            Some(text.as_str())
        );
        // What the seed's `awk -F'duration_ms='` would split at is never in a value.
        assert!(!line.contains("duration_ms="), "{line:?}");
    }
}

#[test]
fn hostile_strings_come_back_from_foreign_events() {
    for text in hostile_strings() {
        let line =
            line(|| tracing::info!(target: "t", a = ?text, b = %text, event = text, "<{text}>"));
        let parsed = parse_line(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert_eq!(parsed.message, format!("<{text}>"));
        assert_eq!(parsed.get("a"), Some(format!("{text:?}").as_str()));
        assert_eq!(
            (parsed.get("b"), parsed.get("event")),
            (Some(text.as_str()), Some(text.as_str()))
        );
        assert_eq!(parsed.target(), "t");
    }
}

#[test]
fn a_whole_line_inside_a_value_stays_a_value() {
    let tail = stampless(
        || tracing::info!(target: "t", x = SEED_TOOL_LINE, "{SEED_TOOL_LINE}\n{SEED_TOOL_LINE}"),
    );
    assert_eq!(tail.matches("duration_ms=").count(), 0);
    assert_eq!(tail.matches("success=True").count(), 0);
}

/// A line by the same functions that the formatter uses, with keys and a target of any text.
fn compose(text: &str, fields: &[(String, String)]) -> String {
    let mut res = Buffer::new();
    res.put(b"2025-12-15 03:19:33 INFO");
    if !text.is_empty() {
        res.put(b" ");
        push_message(&mut res, text);
    }
    for (key, value) in fields {
        res.put(b" ");
        let start = res.len();
        push_key(&mut res, key);
        let spaceless = crate::escape::is_spaceless_key(res.since(start));
        res.put(b"=");
        push_value(&mut res, spaceless, value);
    }
    String::from_utf8(res.as_bytes().to_vec()).unwrap()
}

/// Any text, often of the characters that matter here.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        proptest::collection::vec(
            prop_oneof![
                Just(' '),
                Just('='),
                Just('"'),
                Just('\\'),
                Just('\n'),
                Just('a'),
                Just('x'),
                Just('u'),
                Just('{'),
                Just('}'),
                Just('\u{1b}'),
                Just('\u{2028}'),
                Just('\u{202e}'),
                Just('\u{200b}'),
                Just('\u{85}'),
                any::<char>()
            ],
            0..24
        )
        .prop_map(String::from_iter),
    ]
}

proptest! {
    #[test]
    fn what_is_written_reads_back(text in any_text(), fields in proptest::collection::vec((any_text(), any_text()), 0..5)) {
        let line = compose(&text, &fields);
        prop_assert!(!line.contains(crate::escape::is_unsafe), "{:?}", line);
        let parsed = parse_line(&line).map_err(|it| TestCaseError::fail(format!("{line:?}: {it}")))?;
        prop_assert_eq!(parsed.message.as_ref(), &text);
        prop_assert_eq!(parsed.fields.len(), fields.len());
        for ((_, read), (_, written)) in parsed.fields.iter().zip(&fields) {
            prop_assert_eq!(read, written);
        }
    }

    #[test]
    fn an_event_of_any_strings_reads_back(message in any_text(), model in any_text(), error in any_text(), shown in any_text(), us in any::<i64>()) {
        let line = line(|| tracing::warn!(
            target: "triscope::telemetry", end_unix_us = us, model, shown = ?shown, error = %error, event = "e", "{message}"
        ));
        let parsed = parse_line(&line).map_err(|it| TestCaseError::fail(format!("{line:?}: {it}")))?;
        prop_assert_eq!(parsed.message.as_ref(), &message);
        let shown = format!("{shown:?}");
        let wanted = [("model", model.as_str()), ("shown", &shown), ("error", &error), ("event", "e")];
        let read = parsed.fields.iter().map(|(key, value)| (*key, value.as_ref())).collect::<Vec<_>>();
        prop_assert_eq!(read, wanted);
    }

    #[test]
    fn any_text_is_a_line_or_an_error(text in any_text()) {
        let _ = parse_line(&text);
        let _ = parse_line(&format!("2025-12-15 03:19:33{text}"));
        let _ = parse_line(&format!("2025-12-15 03:19:33 INFO {text}"));
        let _ = parse_line(&format!("2025-12-15 03:19:33 INFO a a={text}"));
        let _ = parse_line(&format!("2025-12-15 03:19:33 INFO a a=\"{text}"));
    }

    #[test]
    fn a_line_that_reads_is_the_line_that_would_be_written(text in any_text()) {
        let line = format!("2025-12-15 03:19:33 INFO {text}");
        if let Ok(parsed) = parse_line(&line) {
            let fields = parsed.fields.iter().map(|(k, v)| ((*k).to_owned(), v.to_string())).collect::<Vec<_>>();
            let again = compose(&parsed.message, &fields);
            let parsed_again = parse_line(&again).unwrap();
            prop_assert_eq!(parsed_again.fields, parsed.fields);
            prop_assert_eq!(parsed_again.message, parsed.message);
        }
    }
}
