//! Conditions: what they mean, and what is said of those that are none.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Condition, Filter};
use crate::{Call, Kind, Record, Source, source};

fn source() -> Arc<Source> {
    let found = source::open_path("testdata/seed-metrics.jsonl".as_ref(), false).unwrap();
    let source::Found::File(opened) = found else {
        panic!("a file");
    };
    Arc::new(Source {
        owner: Some("ann".to_owned()),
        ..opened.source
    })
}

fn holds(condition: &str) -> bool {
    let mut record = Record::EMPTY;
    record.kind = Kind::LlmCall;
    record.name = b"gpt-5-mini";
    record.phase = b"initial";
    record.duration_ms = 1234;
    record.success = false;
    record.error = Some(b"it's over");
    record.cost_usd = "0.0123".parse().ok();
    record.end = "2025-12-15T04:08:08.5Z"
        .parse::<metrics_core::Timestamp>()
        .unwrap()
        .into();
    let source = source();
    let call = Call {
        record: &record,
        source: &source,
        part: 0,
        line: 1,
        pricing: None,
    };
    condition.parse::<Condition>().unwrap().holds(&call)
}

#[test]
fn conditions_mean_what_they_say() {
    for yes in [
        "duration_ms > 1000 and success = false",
        "duration_ms=1234",
        "duration_ms >= 1234.0 && duration_ms <= 1234.5",
        "model = 'gpt-5-mini'",
        "model == \"gpt-5-mini\" AND phase != 'summary'",
        "not success",
        "!(success) or tool = 'x'",
        "success = true or model = 'a' or phase = 'initial'",
        // `and` binds tighter.
        "phase = 'initial' or phase = 'a' and phase = 'b'",
        "error = 'it\\'s over'",
        "cost_usd > 0.012 and cost_usd < 0.0124 and cost_usd != 0",
        "end_ts >= '2025-12-15' and end_ts < '2025-12-15T04:08:09Z'",
        "owner = 'ann'",
        // It has no such field.
        "not (ttft_ms = 1) and not (ttft_ms != 1)",
    ] {
        assert!(holds(yes), "{yes}");
    }
    for no in [
        "success",
        "tool = 'gpt-5-mini'",
        "ttft_ms != 1",
        "duration_ms < 1234",
        "not not success",
        "(phase = 'initial' or phase = 'a') and phase = 'b'",
    ] {
        assert!(!holds(no), "{no}");
    }
}

#[test]
fn a_fault_is_told_with_its_place_and_a_way_out() {
    let told = |text: &str| text.parse::<Condition>().unwrap_err().to_string();
    insta::assert_snapshot!(told("success and duraton_ms > 10"), @r"
    no field `duraton_ms`; did you mean `duration_ms`? at column 13
      success and duraton_ms > 10
                  ^
    ");
    insta::assert_snapshot!(told("duration_ms > 'long'"), @r"
    `duration_ms` is compared with a number, such as 10000 at column 15
      duration_ms > 'long'
                    ^
    ");
    for (text, column, reason) in [
        (
            "",
            1,
            "expected a field, such as `duration_ms`, and there it ends",
        ),
        (
            "duration_ms",
            12,
            "expected one of `=`, `!=`, `<`, `<=`, `>`, `>=`, and there it ends",
        ),
        (
            "duration_ms 5",
            13,
            "expected one of `=`, `!=`, `<`, `<=`, `>`, `>=`",
        ),
        ("success success", 9, "expected `and`, `or` or the end"),
        ("(success", 9, "expected `)`, and there it ends"),
        (
            "model = gpt",
            9,
            "`model` is compared with a text in quotes, such as 'ssh_exec'",
        ),
        ("model = 'gpt", 9, "the quoted text does not end"),
        (
            "success = maybe",
            11,
            "`success` is compared with true or false",
        ),
        (
            "end_ts > 'today'",
            10,
            "`end_ts` is compared with a time in quotes, such as '2025-12-15T04:08:08Z'",
        ),
        (
            "ä # b",
            1,
            "no field `ä`; there are event, phase, model, tool, provider, worker, owner, status, error, success, start_ts, end_ts, duration_ms, prompt_tokens, completion_tokens, total_tokens, cached_tokens, cache_write_tokens, reasoning_tokens, ttft_ms, attempt, cost_usd",
        ),
        ("success # b", 9, "`#` means nothing here"),
        ("'a' = model", 1, "expected a field, such as `duration_ms`"),
        (
            "duration_ms > 1e5x",
            15,
            "`duration_ms` is compared with a number, such as 10000",
        ),
    ] {
        let error = text.parse::<Condition>().unwrap_err();
        assert_eq!((error.column(), error.reason()), (column, reason), "{text}");
    }
    let deep = format!("{}success{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(
        deep.parse::<Condition>().unwrap_err().reason(),
        "too deeply nested"
    );
    assert!(
        format!("{}success", "not ".repeat(50))
            .parse::<Condition>()
            .is_ok()
    );
}

#[test]
fn metadata_is_read_only_where_it_is_asked_for() {
    let of = |condition: &str| Filter {
        condition: condition.parse().ok(),
        ..Filter::default()
    };
    assert!(!of("success or model = 'a'").needs_metadata());
    assert!(of("success or not (status = 'failed')").needs_metadata());
    assert!(
        Filter {
            owners: vec!["a".to_owned()],
            ..Filter::default()
        }
        .needs_metadata()
    );
}

proptest! {
    #[test]
    fn any_text_is_a_condition_or_a_fault_within_it(text in ".{0,60}") {
        if let Err(error) = text.parse::<Condition>() {
            prop_assert!(error.column() <= text.chars().count() + 1);
            let _ = error.to_string();
        }
    }

    #[test]
    fn any_words_are_a_condition_or_a_fault_within_it(
        words in prop::collection::vec(prop::sample::select(vec![
            "model", "success", "duration_ms", "=", "!=", "<", "(", ")", "and", "or", "not", "'a'", "1", "1.5", "true", "end_ts",
        ]), 0..12),
    ) {
        let text = words.join(" ");
        if let Err(error) = text.parse::<Condition>() {
            prop_assert!(error.column() <= text.chars().count() + 1);
        }
    }
}
