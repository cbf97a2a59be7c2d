//! The metrics file: events that are taken, lines that are not, and a program that plays tricks with the file.

use std::{fs, time::Duration};

use metrics_core::{
    CallTime, Clock, Event, LlmCall, Outcome, SpanId, Timestamp, ToolCall, TraceContext, TraceId,
    Usage, decode,
};
use serde_json::json;
use tokio::sync::mpsc;
use worker_runner::{Redactor, RunOptions, WorkerEvent};

use super::support::{Ended, Home};
use crate::{
    ProgramOptions,
    admission::{Life, admit},
};

/// Appends the file `lines` to the metrics file.
const APPEND: &str = r#"cat lines >>"$TRISCOPE_METRICS_FILE""#;

fn now() -> Timestamp {
    Clock::system().timestamp()
}

/// A call of `tool` that has just taken 20 ms.
fn call(tool: &str) -> String {
    let time = CallTime::new(now().plus_micros(-20_000), Duration::from_millis(20));
    Event::from(ToolCall::new(tool, time)).to_line()
}

async fn run(home: &Home, lines: &[u8], script: &str) -> Ended {
    fs::write(home.path().join("lines"), lines).unwrap();
    let ended = home.run(script, ProgramOptions::default()).await;
    assert_eq!(ended.report.error, None);
    ended
}

#[tokio::test]
async fn events_are_recorded_in_their_canonical_form() {
    let home = Home::new();
    let start = now();
    let end = start.plus_micros(111_111);
    let line = format!(
        r#"{{"mine": [1, 2], "duration_ms": 111, "model":"gpt-5-mini", "phase":"initial", "start_ts":"{start}","end_ts":"{end}", "completion_tokens":89, "prompt_tokens":1234, "event":"llm_call"}}"#
    );
    let ended = run(&home, format!("{line}\n").as_bytes(), APPEND).await;
    let canonical = format!(
        r#"{{"event":"llm_call","phase":"initial","model":"gpt-5-mini","start_ts":"{start}","end_ts":"{end}","duration_ms":111,"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323,"mine":[1,2]}}"#
    );
    assert_eq!(ended.events(), [canonical]);
    assert_eq!(ended.report.totals.usage.total_tokens, Some(1323));
    assert_eq!(ended.metadata.events, Some(1));
    assert_eq!(ended.warnings(), [""; 0]);
    assert_eq!(
        ended.program()["metrics"],
        json!({"recorded": 1, "refused": 0, "passed_over": 0, "reasons": [], "trouble": null})
    );
}

#[tokio::test]
async fn events_are_seen_while_the_program_runs() {
    for outputs in ["", "exec >&- 2>&-; "] {
        let home = Home::new();
        fs::write(home.path().join("lines"), call("early") + "\n").unwrap();
        let (events, mut seen) = mpsc::unbounded_channel();
        let options = RunOptions {
            events: Some(events),
            ..RunOptions::default()
        };
        let script = format!("{outputs}{APPEND}; until [ -e go ]; do sleep 0.01; done");
        let run = home.run_with(&script, ProgramOptions::default(), options);
        let look = async {
            let Some(WorkerEvent::Started { collector, .. }) = seen.recv().await else {
                panic!("a worker starts first");
            };
            while collector.totals().tool_calls == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            fs::write(home.path().join("go"), "").unwrap();
        };
        let both = async { tokio::join!(run, look) };
        let (ended, ()) = tokio::time::timeout(Duration::from_mins(1), both)
            .await
            .expect("the event is not seen before the program ends");
        assert_eq!(ended.events().len(), 1);
    }
}

#[tokio::test]
async fn lines_that_are_no_events_are_counted_and_told_and_cost_nobody_else() {
    let home = Home::new();
    let good = call("good");
    let huge = format!(
        r#"{{"event":"tool_call","tool":"{}"}}"#,
        "x".repeat(100_000)
    );
    let no_time = r#"{"event":"tool_call","tool":"x","success":true}"#;
    let negative = good.replace(r#""duration_ms":20"#, r#""duration_ms":-20"#);
    let twice = good.replace(r#""tool":"good""#, r#""tool":"good","tool":"bad""#);
    let lines: [&[u8]; 11] = [
        good.as_bytes(),
        b"not json",
        b"\xff\xfe{}",
        huge.as_bytes(),
        no_time.as_bytes(),
        negative.as_bytes(),
        twice.as_bytes(),
        br#"{"event":"progress","percent":50}"#,
        b"",
        b"{\"event\":\"tool_call\",\"tool\":\"torn",
        good.as_bytes(),
    ];
    let ended = run(&home, &lines.join(&b'\n'), APPEND).await;
    assert_eq!(
        ended.events(),
        [&*good, &*good],
        "the last one has no line end"
    );
    let metrics = &ended.program()["metrics"];
    let counts = ["recorded", "refused", "passed_over"].map(|it| metrics[it].as_u64().unwrap());
    assert_eq!(counts, [2, 7, 1], "{metrics}");
    let reasons = metrics["reasons"].as_array().unwrap();
    let starts = [
        "line 2: ",
        "line 3: ",
        "line 4: ",
        "line 5: ",
        "line 6: ",
        "line 7: ",
        "line 10: ",
    ];
    for (reason, start) in reasons.iter().zip(starts) {
        assert!(reason.as_str().unwrap().starts_with(start), "{reason}");
    }
    assert_eq!(reasons[2], "line 4: longer than 65536 bytes");
    assert_eq!(reasons[3], "line 5: field `start_ts` is missing");
    let [warning] = ended.warnings()[..] else {
        panic!("{:?}", ended.warnings());
    };
    assert!(
        warning.starts_with("7 lines of the program's metrics refused (line 2: "),
        "{warning}"
    );
}

#[tokio::test]
async fn a_torn_last_line_is_refused_and_a_whole_one_taken() {
    let home = Home::new();
    let whole = call("whole");
    let ended = run(&home, whole.as_bytes(), APPEND).await;
    assert_eq!(ended.events(), [&*whole]);
    let ended = run(&home, &whole.as_bytes()[..whole.len() - 1], APPEND).await;
    assert_eq!(ended.events(), [""; 0]);
    let reasons = &ended.program()["metrics"]["reasons"];
    assert_eq!(reasons[0], "line 1: torn: the file ends within this line");
}

#[tokio::test]
async fn many_events_at_the_very_end_all_count_and_keep_their_order() {
    let home = Home::new();
    let lines: Vec<_> = (0..5_000).map(|it| call(&format!("t{it}"))).collect();
    let ended = run(&home, (lines.join("\n") + "\n").as_bytes(), APPEND).await;
    assert_eq!(ended.events(), lines);
    assert_eq!(ended.metadata.events_lost, Some(0));
}

#[tokio::test]
async fn no_trick_with_the_file_hurts_the_worker() {
    let good = call("good");
    // Each waits until its first two events are there to be missed.
    let seen = r#"cat lines >>"$TRISCOPE_METRICS_FILE"; d=$(dirname "$TRISCOPE_METRICS_FILE"); until [ $(wc -l <"$d/metrics.jsonl") = 2 ]; do sleep 0.01; done; "#;
    let cut = "it was cut while it was read";
    let gone = "it was removed or replaced, and is read no further than that";
    for (trick, recorded, trouble) in [
        (r#"head -n 1 lines >"$TRISCOPE_METRICS_FILE""#, 3, Some(cut)),
        (
            r#"rm "$TRISCOPE_METRICS_FILE"; cat lines >"$TRISCOPE_METRICS_FILE""#,
            2,
            Some(gone),
        ),
        (
            r#"rm "$TRISCOPE_METRICS_FILE"; mkfifo "$TRISCOPE_METRICS_FILE""#,
            2,
            Some(gone),
        ),
        (
            r#"ln -sf /dev/zero "$TRISCOPE_METRICS_FILE""#,
            2,
            Some(gone),
        ),
        (
            r#"rm "$TRISCOPE_METRICS_FILE"; mkdir "$TRISCOPE_METRICS_FILE""#,
            2,
            Some(gone),
        ),
        (r#"chmod 0 "$TRISCOPE_METRICS_FILE""#, 2, None),
        (
            r#"mv "$TRISCOPE_METRICS_FILE" "$d/other"; cat lines >>"$d/other""#,
            4,
            None,
        ),
    ] {
        let home = Home::new();
        let ended = run(
            &home,
            format!("{good}\n{good}\n").as_bytes(),
            &format!("{seen}{trick}"),
        )
        .await;
        let metrics = &ended.program()["metrics"];
        assert_eq!(metrics["recorded"], recorded, "{trick}: {metrics}");
        assert_eq!(metrics["trouble"].as_str(), trouble, "{trick}");
        assert_eq!(ended.events().len(), recorded, "{trick}");
        assert_eq!(
            ended.warnings().len(),
            usize::from(trouble.is_some()),
            "{trick}"
        );
    }
}

const MINUTE: i64 = 60_000_000;

#[test]
fn only_what_can_be_true_is_taken() {
    let began = now();
    let life = Life {
        began,
        now: began.plus_micros(10_000_000),
        trace: TraceContext::root(),
    };
    let at = |start: i64, end: i64, ms: u64| {
        let time = CallTime::as_written(began.plus_micros(start), began.plus_micros(end), ms);
        Event::from(ToolCall::new("x", time))
    };
    let refused = |event: Event<'_>| {
        admit(event, &life, &Redactor::new())
            .unwrap_err()
            .to_string()
    };
    assert!(admit(at(0, 5_000_000, 5_000), &life, &Redactor::new()).is_ok());
    assert!(admit(at(0, 5_000_000, 5_900), &life, &Redactor::new()).is_ok());
    assert!(admit(at(-MINUTE, -MINUTE, 0), &life, &Redactor::new()).is_ok());
    assert_eq!(refused(at(1, 0, 0)), "`end_ts` is before `start_ts`");
    assert!(refused(at(0, 11_000_000 + MINUTE, 71_000)).ends_with("is in the future"));
    assert!(refused(at(-MINUTE - 1, 0, 60_000)).ends_with("is before the worker began"));
    assert_eq!(
        refused(at(0, 5_000_000, 7_000)),
        "`duration_ms` 7000 is not what the stamps say (5000)"
    );
    assert!(refused(at(0, 0, u64::MAX)).starts_with("`duration_ms`"));

    let time = CallTime::new(began, Duration::ZERO);
    let long = "x".repeat(257);
    assert!(refused(ToolCall::new(&*long, time).into()).starts_with("`tool` is longer"));
    assert!(refused(LlmCall::new(&*long, "m", time).into()).starts_with("`phase` is longer"));
    let mut call = LlmCall::new("p", "m", time);
    call.usage = Usage::new(u64::MAX, 1);
    assert!(refused(call.into()).starts_with("`prompt_tokens` is more"));
    let mut call = LlmCall::new("p", "m", time);
    call.cost_usd = Some("-0.1".parse().unwrap());
    assert_eq!(refused(call.into()), "`cost_usd` is negative");
}

#[test]
fn an_error_is_cut_and_only_spans_of_the_workers_trace_stay() {
    let began = now();
    let trace = TraceContext::root();
    let life = Life {
        began,
        now: began,
        trace,
    };
    let stamps = format!(r#""start_ts":"{began}","end_ts":"{began}","duration_ms":0"#);
    let error = "e".repeat(5000);
    let text =
        format!(r#"{{"event":"tool_call","tool":"x",{stamps},"success":false,"error":"{error}"}}"#);
    let metrics_core::Decoded::Event(event) = decode(text.as_bytes()).unwrap() else {
        panic!("{text}");
    };
    let admitted = admit(event, &life, &Redactor::new()).unwrap();
    let Outcome::Failure(error) = admitted.outcome() else {
        panic!("{admitted:?}");
    };
    assert_eq!(error.as_str().chars().count(), 2000);

    let span = Some(SpanId::random());
    for (given, kept) in [
        (Some(trace.trace_id), true),
        (None, true),
        (Some(TraceId::random()), false),
    ] {
        let mut call = ToolCall::new("x", CallTime::new(began, Duration::ZERO));
        call.trace.trace_id = given;
        call.trace.span_id = span;
        let Event::ToolCall(call) = admit(call.into(), &life, &Redactor::new()).unwrap() else {
            panic!("a tool call stays one");
        };
        assert_eq!(call.trace.span_id, span.filter(|_| kept));
        assert_eq!(call.trace.trace_id, Some(trace.trace_id).filter(|_| kept));
    }
}
