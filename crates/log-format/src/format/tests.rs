//! What events look like as lines.

use std::error::Error;
use std::fmt;

use super::*;
use crate::testing::{line, lines_with, stampless};

const END_UNIX_US: i64 = 1_765_768_773_987_654; // 2025-12-15 03:19:33.987654

fn llm_call() -> String {
    line(|| {
        tracing::info!(
            target: "triscope::telemetry",
            end_unix_us = END_UNIX_US,
            phase = "tool_decision",
            duration_ms = 19_500_u64,
            worker_id = "2025-12-15T03-19-12_backup",
            model = "gpt-5-mini",
            prompt_tokens = Some(1234_u64),
            completion_tokens = Some(89_u64),
            total_tokens = Some(1323_u64),
            cached_tokens = None::<u64>,
            event = "llm_call_complete",
            "llm_call_complete"
        );
    })
}

fn tool_call() -> String {
    line(|| {
        tracing::info!(
            target: "triscope::telemetry",
            end_unix_us = END_UNIX_US + 1_000_000,
            tool = "ssh_exec",
            duration_ms = 1234_u64,
            success = true,
            worker_id = "2025-12-15T03-19-12_backup",
            event = "tool_call_complete",
            "tool_call_complete"
        );
    })
}

#[test]
fn the_seed_examples_are_prefixes_of_our_lines() {
    insta::assert_snapshot!(llm_call(), @"2025-12-15 03:19:33 INFO llm_call_complete phase=tool_decision duration_ms=19500 worker_id=2025-12-15T03-19-12_backup model=gpt-5-mini prompt_tokens=1234 completion_tokens=89 total_tokens=1323 event=llm_call_complete");
    insta::assert_snapshot!(tool_call(), @"2025-12-15 03:19:34 INFO tool_call_complete tool=ssh_exec duration_ms=1234 success=True worker_id=2025-12-15T03-19-12_backup event=tool_call_complete");
    assert!(llm_call().starts_with(crate::parse::tests::SEED_LLM_LINE));
    assert!(tool_call().starts_with(crate::parse::tests::SEED_TOOL_LINE));
}

#[test]
fn a_failed_tool_call_is_a_warning_with_its_error_quoted() {
    let line = stampless(|| {
        tracing::warn!(
            target: "triscope::telemetry",
            end_unix_us = END_UNIX_US,
            tool = "ssh exec", duration_ms = 1_u64, success = false, worker_id = "w",
            error = "exit status = 1\nsee log", event = "tool_call_complete",
            "tool_call_complete"
        );
    });
    insta::assert_snapshot!(line, @r#"WARN tool_call_complete tool="ssh\x20exec" duration_ms=1 success=False worker_id=w error="exit status \x3d 1\nsee log" event=tool_call_complete"#);
}

#[test]
fn the_event_field_and_the_message_find_their_places_in_any_order() {
    let line = stampless(|| {
        tracing::info!(
            target: "triscope::telemetry",
            event = "events_lost", lost = 12, message = "events_lost", worker_id = "w", end_unix_us = 0
        );
    });
    assert_eq!(
        line,
        "INFO events_lost lost=12 worker_id=w event=events_lost"
    );
}

#[test]
fn our_stamp_is_the_end_of_the_event_whatever_the_integer_type() {
    let stamps = [
        line(|| tracing::info!(target: "triscope::telemetry", end_unix_us = -1_i64, "x")),
        line(|| tracing::info!(target: "triscope::telemetry", end_unix_us = 0_u64, "x")),
        line(|| tracing::info!(target: "triscope::telemetry", end_unix_us = i64::MAX, "x")),
        line(|| tracing::info!(target: "triscope::telemetry", end_unix_us = i64::MIN, "x")),
    ];
    assert_eq!(
        stamps,
        [
            "1969-12-31 23:59:59 INFO x",
            "1970-01-01 00:00:00 INFO x",
            "9999-12-31 23:59:59 INFO x",
            "0000-01-01 00:00:00 INFO x",
        ]
    );
}

#[test]
fn without_an_end_the_line_bears_the_wall_clock() {
    let before = stamp::now_seconds();
    let line = line(|| tracing::info!(target: "triscope::telemetry", "x"));
    let seconds = crate::parse_line(&line).unwrap().unix_seconds;
    assert!((before..=stamp::now_seconds()).contains(&seconds), "{line}");
}

#[test]
fn a_foreign_event_ends_in_its_target() {
    let line = stampless(|| {
        tracing::error!(target: "other::net", peer = %"10.0.0.7:22", tries = 3, up = false, "gone: a=b");
    });
    assert_eq!(
        line,
        r"ERROR gone: a\x3db peer=10.0.0.7:22 tries=3 up=False target=other::net"
    );
}

#[test]
fn foreign_fields_with_our_names_stay_in_place() {
    let line = stampless(|| {
        tracing::info!(
            target: "other", end_unix_us = 5, event = "llm_call_complete", target = "triscope::telemetry", z = 1
        );
    });
    let wanted =
        "INFO end_unix_us=5 event=llm_call_complete target=triscope::telemetry z=1 target=other";
    assert_eq!(line, wanted);
    let full = format!("2025-12-15 03:19:33 {line}");
    let parsed = crate::parse_line(&full).unwrap();
    assert_eq!((parsed.target(), parsed.is_telemetry()), ("other", false));
    assert_eq!(parsed.get("target"), Some("other"));
}

#[test]
fn events_without_a_message_or_fields_have_no_stray_spaces() {
    assert_eq!(
        stampless(|| tracing::info!(target: "t", a = 1)),
        "INFO a=1 target=t"
    );
    assert_eq!(
        stampless(|| tracing::info!(target: "t", "")),
        "INFO target=t"
    );
    assert_eq!(
        stampless(|| tracing::debug!(target: "triscope::telemetry", "")),
        "DEBUG"
    );
}

#[test]
fn every_kind_of_value_prints() {
    let line = stampless(|| {
        tracing::trace!(
            target: "t",
            a = u64::MAX, b = i64::MIN, c = u128::MAX, d = i128::MIN, e = 0.1_f64, f = f64::NAN, g = 1e300,
            h = true, i = "text", j = ?Some("x"), k = %"shown", l = None::<u64>, m = &b"\x01\xff"[..], n = 5.0
        );
    });
    insta::assert_snapshot!(line, @r#"TRACE a=18446744073709551615 b=-9223372036854775808 c=340282366920938463463374607431768211455 d=-170141183460469231731687303715884105728 e=0.1 f=NaN g=1e300 h=True i=text j="Some(\"x\")" k=shown m="[01 ff]" n=5.0 target=t"#);
}

#[test]
fn a_message_may_be_any_value() {
    assert_eq!(
        stampless(|| tracing::info!(target: "t", message = 5)),
        "INFO 5 target=t"
    );
    assert_eq!(
        stampless(|| tracing::info!(target: "t", message = true)),
        "INFO True target=t"
    );
    assert_eq!(
        stampless(|| tracing::info!(target: "t", message = ?"a=b")),
        r#"INFO "a\x3db" target=t"#
    );
    assert_eq!(
        stampless(|| tracing::info!(target: "t", message = 1.5)),
        "INFO 1.5 target=t"
    );
}

#[test]
fn hostile_field_names_and_targets_cannot_forge_a_key() {
    let line = stampless(|| {
        tracing::info!(
            target: "t duration_ms=1\n",
            message = "m", "a b=\n\u{1b}" = 1, "" = 2, r#type = 3, "worker-id" = "a b"
        );
    });
    assert_eq!(
        line,
        r#"INFO m a_b___=1 _=2 type=3 worker_id="a\x20b" target="t duration_ms\x3d1\n""#
    );
}

#[test]
fn an_error_prints_with_its_sources() {
    let line = stampless(|| {
        let error = Link(
            "outer",
            Some(Box::new(Link(
                "mid\ndle",
                Some(Box::new(Link("a=b", None))),
            ))),
        );
        tracing::warn!(target: "t", error = &error as &(dyn Error + 'static), "failed");
    });
    assert_eq!(
        line,
        r#"WARN failed error="outer: mid\ndle: a\x3db" target=t"#
    );
}

#[test]
fn a_circle_of_sources_ends() {
    #[derive(Debug)]
    struct Circle;
    impl fmt::Display for Circle {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("round")
        }
    }
    impl Error for Circle {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }
    let line = stampless(|| tracing::warn!(target: "t", error = &Circle as &(dyn Error + 'static)));
    assert_eq!(line.matches("round").count(), 17);
}

#[test]
fn a_value_that_panics_or_fails_keeps_its_line() {
    struct Panics;
    impl fmt::Debug for Panics {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            panic!("as the test wants it")
        }
    }
    struct Fails;
    impl fmt::Display for Fails {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            Err(fmt::Error)
        }
    }
    assert_eq!(
        stampless(|| tracing::info!(target: "t", a = ?Panics, b = %Fails, c = 1, "m")),
        r#"INFO m a="<panicked while formatting>" b="<formatting failed>" c=1 target=t"#
    );
    assert_eq!(
        stampless(|| tracing::info!(target: "t", c = 1, "m {:?}", Panics)),
        "INFO <panicked while formatting> c=1 target=t"
    );
}

#[test]
fn a_worker_id_comes_from_the_hook_unless_the_event_has_its_own() {
    let format = LogFormat::new().with_worker_id(|| Some("w 1"));
    let lines = lines_with(format, || {
        tracing::info!(target: "t", "a");
        tracing::info!(target: "t", worker_id = "own", "b");
        tracing::info!(target: "t", worker_id = None::<&str>, x = 1, "c");
        tracing::info!(target: "triscope::telemetry", event = "e", "d");
    });
    let tails = lines
        .iter()
        .map(|it| it[20..].trim_end())
        .collect::<Vec<_>>();
    assert_eq!(
        tails,
        [
            r#"INFO a worker_id="w\x201" target=t"#,
            "INFO b worker_id=own target=t",
            r#"INFO c x=1 worker_id="w\x201" target=t"#,
            "INFO d event=e",
        ]
    );
}

#[test]
fn a_hook_that_has_none_or_panics_costs_only_the_key() {
    for hook in [|| None::<String>, || panic!("as the test wants it")] {
        let lines = lines_with(
            LogFormat::new().with_worker_id(hook),
            || tracing::info!(target: "t", "a"),
        );
        assert!(lines[0].ends_with(" INFO a target=t\n"), "{lines:?}");
    }
}

#[test]
fn a_record_of_the_log_crate_prints_the_target_it_carries() {
    // The shape that `tracing-log` gives to records.
    let line = stampless(|| {
        tracing::event!(
            name: "log record", target: "log", tracing::Level::INFO,
            message = "hi", log.target = "old::module", log.module_path = "old::module",
            log.file = "old.rs", log.line = 7
        );
    });
    assert_eq!(line, "INFO hi target=old::module");
}

/// An error with a message and perhaps a source.
#[derive(Debug)]
struct Link(&'static str, Option<Box<Link>>);

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Link {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|it| it as &(dyn Error + 'static))
    }
}
