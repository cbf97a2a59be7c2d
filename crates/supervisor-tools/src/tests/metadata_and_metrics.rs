//! `get_worker_metadata` and `worker_metrics`.

use std::{fs, time::Duration};

use insta::assert_snapshot;
use metrics_core::{CallTime, Event, Outcome, Timestamp, ToolCall};
use serde_json::json;
use tiktoken_rs::{cl100k_base_singleton, o200k_base_singleton};

use super::support::Office;

#[tokio::test]
async fn metadata_is_shown_whole() {
    let office = Office::new();
    let id = office.done("make calls").await;
    let text = office
        .call("get_worker_metadata", json!({"job_id": id}))
        .await;
    let ids = r#""(trace_id|span_id|run|host|boot_id)": ("[^"]*"|null)"#;
    insta::with_settings!({filters => [(ids, r#""$1": "[id]""#)]}, {
        assert_snapshot!(text, @r#"
        Metadata of worker job 1 (worker 2025-12-15T04-08-08_make-calls):

        {
          "worker_id": "2025-12-15T04-08-08_make-calls",
          "task": "make calls",
          "config": {
            "model": "test-agent",
            "timeout_seconds": 300.0
          },
          "status": "success",
          "created_at": "2025-12-15T04:08:08.000000Z",
          "started_at": "2025-12-15T04:08:08.000000Z",
          "finished_at": "2025-12-15T04:08:08.125000Z",
          "duration_ms": 125,
          "duration_us": 125000,
          "error": null,
          "summary": "called",
          "summary_meta": {
            "source": "beginning"
          },
          "owner": "local",
          "trace_id": "[id]",
          "span_id": "[id]",
          "parent_worker_id": null,
          "parent_span_id": null,
          "job_id": 1,
          "attempt": 1,
          "run": "[id]",
          "host": "[id]",
          "boot_id": "[id]",
          "events": 3,
          "events_lost": 0,
          "usage": {
            "llm_calls": 1,
            "llm_failures": 0,
            "tool_calls": 2,
            "tool_failures": 1,
            "prompt_tokens": 1000,
            "completion_tokens": 200,
            "total_tokens": 1200,
            "cost_unknown": {
              "test-model": 1
            }
          },
          "format": 1
        }
        "#);
    });
}

#[tokio::test]
async fn long_texts_in_metadata_are_cut_and_can_be_read_elsewhere() {
    let office = Office::new();
    let id = office.done(&"é".repeat(1_000_000)).await;
    let text = office
        .call("get_worker_metadata", json!({"job_id": id}))
        .await;
    assert!(text.len() < 30_000, "{}", text.len());
    assert_snapshot!(text.lines().last().unwrap(), @"[long texts are cut; read_worker_file with file_path=metadata.json has them whole]");
    let whole = json!({"job_id": id, "file_path": "metadata.json", "offset": 1_000_000});
    let whole = office.call("read_worker_file", whole).await;
    assert!(whole.len() > 500_000, "{}", whole.len());
}

#[tokio::test]
async fn metrics_say_where_the_time_went() {
    let office = Office::new();
    let id = office.done("make calls").await;
    let metrics = || office.call("worker_metrics", json!({"job_id": id, "max_tokens": 400}));
    assert_snapshot!(metrics().await, @"
    Metrics of worker job 1 (worker 2025-12-15T04-08-08_make-calls):

    Execution time: 125ms
    LLM calls: 1, 100ms in all, slowest 100ms
    - initial: 1, 100ms in all, slowest 100ms
    Tokens: 1200 (prompt 1000, completion 200)
    Cost: unknown (test-model)
    Tool calls: 2 (1 failed), 25ms in all, slowest 20ms
    - ssh_exec: 1, 20ms in all, slowest 20ms
    - http_request: 1 (1 failed), 5ms in all, slowest 5ms
    Slowest calls:
    - line 1: test-model 100ms, 0ms after the start
    - line 2: ssh_exec 20ms, 100ms after the start
    - line 3: http_request 5ms, 120ms after the start
    Failures: 1
    - http_request after 5ms: connection refused
    ");
    office.edit_metadata("2025-12-15T04-08-08_make-calls", |it| {
        it["events_lost"] = json!(2);
        it["events_lost_reason"] = json!("disk full");
    });
    let path = office.path("2025-12-15T04-08-08_make-calls", "metrics.jsonl");
    let mut lines = fs::read_to_string(&path).unwrap();
    lines.push_str("{\"event\":\"party\"}\nnot json\n");
    fs::write(&path, lines).unwrap();
    assert_snapshot!(metrics().await, @"
    Metrics of worker job 1 (worker 2025-12-15T04-08-08_make-calls):

    Execution time: 125ms
    LLM calls: 1, 100ms in all, slowest 100ms
    - initial: 1, 100ms in all, slowest 100ms
    Tokens: 1200 (prompt 1000, completion 200)
    Cost: unknown (test-model)
    Tool calls: 2 (1 failed), 25ms in all, slowest 20ms
    - ssh_exec: 1, 20ms in all, slowest 20ms
    - http_request: 1 (1 failed), 5ms in all, slowest 5ms
    Slowest calls:
    - line 1: test-model 100ms, 0ms after the start
    - line 2: ssh_exec 20ms, 100ms after the start
    - line 3: http_request 5ms, 120ms after the start
    Failures: 1
    - http_request after 5ms: connection refused
    Events of other kinds: 1
    Lines that could not be used: 1
    - line 5: expected ident at column 2
    Warning: 2 events lost (disk full)
    ");
}

#[tokio::test]
async fn what_is_called_after_the_worker_s_end_takes_nothing_from_its_time() {
    let office = Office::new();
    let id = office.done("make calls").await;
    let calls = [
        call("before", -2, 10, None),
        call("into", -1, 15, None),
        call("within", 1, 60, None),
        call("out of", 11, 50, None),
        call("summary", 20, 30, None),
    ];
    office.write_metrics("2025-12-15T04-08-08_make-calls", calls.into_iter());
    let text = office.call("worker_metrics", json!({"job_id": id})).await;
    // 125ms without 0 to 5, 10 to 70 and 110 to 125.
    assert!(text.contains("\nTime outside of calls: 45ms\n"), "{text}");
}

#[tokio::test]
async fn metrics_of_a_worker_without_calls() {
    let office = Office::new();
    let id = office.done("calculate 7*6").await;
    let text = office.call("worker_metrics", json!({"job_id": id})).await;
    assert_snapshot!(text, @"
    Metrics of worker job 1 (worker 2025-12-15T04-08-08_calculate-7-6):

    Execution time: 98ms
    LLM calls: 0
    Tokens: none reported
    Tool calls: 0
    ");
}

#[tokio::test]
async fn metrics_are_bounded_whatever_the_names() {
    let office = Office::new();
    let id = office.done("make calls").await;
    let many = (0..3000).map(|n| call(&format!("tool-{n}-{}", "x".repeat(500)), n, 20, None));
    office.write_metrics("2025-12-15T04-08-08_make-calls", many);
    let all = json!({"job_id": id, "max_tokens": 1_000_000});
    let text = office.call("worker_metrics", all).await;
    assert!(text.contains("\nTool calls: 3000, "), "{text}");
    assert!(text.contains("\n- other: 2800, "), "{text}");
    assert!(text.contains("\n- and 181 more\n"), "{text}");
    assert!(text.len() < 5000, "{}", text.len());
    assert!(!text.contains("larger max_tokens"), "{text}");
}

/// What models of two generations count.
#[track_caller]
fn assert_fits(text: &str, max_tokens: usize) {
    for tokenizer in [cl100k_base_singleton(), o200k_base_singleton()] {
        let counted = tokenizer.encode_ordinary(text).len();
        assert!(
            counted <= max_tokens,
            "{counted} tokens of {max_tokens}: {text}"
        );
    }
}

#[tokio::test]
async fn metrics_of_a_long_worker_keep_to_their_budget_and_say_what_matters() {
    let office = Office::new();
    let id = office.done("make calls").await;
    let names = ["ssh_exec", "read_file", "http_request", "shell_exec"];
    let calls = (0..30_000).map(|n| {
        let name = names[usize::try_from(n).unwrap() % names.len()];
        let (took_ms, error) = match n {
            17_000 => (45_000, None),
            n if n % 5000 == 4999 => (
                900,
                Some("error[E0308]: mismatched types: `Vec<u8>`, found `&str`"),
            ),
            n => (n % 7 + 1, None),
        };
        call(name, n, took_ms, error)
    });
    office.write_metrics("2025-12-15T04-08-08_make-calls", calls);
    let ask = |max_tokens| {
        office.call(
            "worker_metrics",
            json!({"job_id": id, "max_tokens": max_tokens}),
        )
    };
    let usual = office.call("worker_metrics", json!({"job_id": id})).await;
    assert_snapshot!(usual, @r#"
    Metrics of worker job 1 (worker 2025-12-15T04-08-08_make-calls):

    Execution time: 125ms
    LLM calls: 0
    Tokens: none reported
    Tool calls: 30000 (6 failed), 170369ms (2m 50s) in all, slowest 45000ms (45.0s), p95 7ms
    - ssh_exec: 7500, 74991ms (1m 14s) in all, slowest 45000ms (45.0s), p95 7ms
    - shell_exec: 7500 (6 failed), 35377ms (35.3s) in all, slowest 900ms, p95 7ms
    - and 2 more
    Time outside of calls: 77ms
    Slowest calls:
    - line 17001: ssh_exec 45000ms (45.0s), 2m 50s after the start
    - line 5000: shell_exec 900ms, 49s after the start
    - line 10000: shell_exec 900ms, 1m 39s after the start
    - and 2 more
    Failures: 6
    - shell_exec, 6 times, 5400ms (5.4s) in all, last: error[E0308]: mismatched types: `Vec<u8>`, found `&str`
    [more with a larger max_tokens]
    "#);
    assert_eq!(ask(400).await, usual);
    for max_tokens in [50, 60, 75, 100, 150, 200, 300, 400, 600, 1000] {
        let text = ask(max_tokens).await;
        assert_fits(&text, max_tokens);
        assert!(text.contains("\nExecution time: "), "{max_tokens}: {text}");
        assert_eq!(
            text.contains("larger max_tokens"),
            max_tokens < 600,
            "{text}"
        );
    }
    assert_snapshot!(ask(50).await, @r#"
    Metrics of job 1:

    Execution time: 125ms
    LLM calls: 0
    Failures: 6
    [more with a larger max_tokens]
    "#);
    assert_snapshot!(ask(100).await, @r#"
    Metrics of job 1:

    Execution time: 125ms
    LLM calls: 0
    Tool calls: 30000 (6 failed), 170369ms (2m 50s) in all, slowest 45000ms (45.0s), p95 7ms
    Failures: 6
    [more with a larger max_tokens]
    "#);
}

#[tokio::test]
async fn failures_that_differ_only_in_numbers_are_one_kind() {
    let office = Office::new();
    let id = office.done("make calls").await;
    let calls = (0..9).map(|n| {
        let error = match n {
            8 => "permission denied".to_owned(),
            n => format!("HTTP 50{} of 10.0.0.{n}:8080", n % 4),
        };
        call("http_request", n, n, Some(&error))
    });
    office.write_metrics("2025-12-15T04-08-08_make-calls", calls);
    let text = office.call("worker_metrics", json!({"job_id": id})).await;
    let failures = text.split_once("Failures: ").unwrap().1;
    assert_snapshot!(failures, @"
    9
    - http_request, 8 times, 28ms in all, last: HTTP 503 of 10.0.0.7:8080
    - http_request after 8ms: permission denied
    ");
}

#[tokio::test]
async fn many_short_calls_add_up() {
    let office = Office::new();
    let id = office.done("make calls").await;
    let start: Timestamp = "2025-12-15T04:08:08Z".parse().unwrap();
    let short = |n: i64| {
        let time = CallTime::new(start.plus_micros(n * 1000), Duration::from_micros(400));
        Event::from(ToolCall::new("calculate", time)).to_line()
    };
    let calls = (0..100).map(short).chain([call("ssh_exec", 0, 20, None)]);
    office.write_metrics("2025-12-15T04-08-08_make-calls", calls);
    let text = office.call("worker_metrics", json!({"job_id": id})).await;
    let calls = text.split_once("Tool calls: ").unwrap().1;
    assert_snapshot!(calls, @"
    101, 60ms in all, slowest 20ms, p95 under 1ms
    - calculate: 100, 40ms in all, each under 1ms
    - ssh_exec: 1, 20ms in all, slowest 20ms
    Time outside of calls: 73ms
    Slowest calls:
    - line 101: ssh_exec 20ms, 0ms after the start
    ");
}

#[tokio::test]
async fn metrics_of_hostile_names_keep_to_their_budget() {
    let office = Office::new();
    let id = office.done("make calls").await;
    let calls = (0..200).map(|n| {
        let name = [
            "Ж",
            "\u{1f469}\u{200d}",
            "qZxJ",
            "\u{202e}\r",
            "=\\\\",
            "\u{13000}",
        ][usize::try_from(n).unwrap() % 6];
        call(
            &format!("{}{n}", name.repeat(40)),
            n,
            n,
            Some(&format!("\u{202e}{}", name.repeat(300))),
        )
    });
    office.write_metrics("2025-12-15T04-08-08_make-calls", calls);
    for max_tokens in [50, 100, 200, 400, 1000, 5000] {
        let text = office.call(
            "worker_metrics",
            json!({"job_id": id, "max_tokens": max_tokens}),
        );
        let text = text.await;
        assert_fits(&text, max_tokens);
        assert!(!text.contains(['\u{202e}', '\r']), "{text}");
    }
}

#[tokio::test]
async fn a_budget_that_has_room_for_nothing_is_refused() {
    let office = Office::new();
    let id = office.done("calculate 7*6").await;
    let text = office.call("worker_metrics", json!({"job_id": id, "max_tokens": 49}));
    assert_snapshot!(text.await, @"Error: argument `max_tokens` must be a whole number from 50 on, not 49.");
}

#[tokio::test]
async fn metrics_of_a_running_worker_say_what_is_in_flight_here_and_elsewhere() {
    let office = Office::new();
    let id = office.spawn("wait").await;
    office.somebody_waits().await;
    office.is_noted(id).await;
    office.advance(Duration::from_secs(12));
    let job = json!({"job_id": id});
    let here = office.call("worker_metrics", job.clone()).await;
    assert_snapshot!(here, @r#"
    Metrics of worker job 1 (worker 2025-12-15T04-08-08_wait):

    Running for 12000ms (12.0s)
    Calls in flight: 1
    - tool ssh_exec for 12s
    LLM calls: 0
    Tokens: none reported
    Tool calls: 0
    "#);
    let elsewhere = office.another().tools(Some("local"));
    // Its call is written down a moment after it has become a long one.
    let mut text = String::new();
    for _ in 0..6000 {
        text = elsewhere.call("worker_metrics", &job).await;
        if text == here {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(text, here);
    office.go_on();
    office.supervisor.idle().await;
    assert!(
        !office
            .call("worker_metrics", job)
            .await
            .contains("in flight")
    );
}

#[tokio::test]
async fn metrics_say_how_a_worker_ended_that_did_not_succeed() {
    let office = Office::new();
    let id = office.done("fail").await;
    let text = office.call("worker_metrics", json!({"job_id": id})).await;
    assert!(text.contains("\nStatus: failed\n"), "{text}");
}

/// A line of `metrics.jsonl`: a call that began `n` times 10 ms after the worker.
fn call(tool: &str, n: i64, took_ms: i64, error: Option<&str>) -> String {
    let start: Timestamp = "2025-12-15T04:08:08Z".parse().unwrap();
    let duration = Duration::from_millis(took_ms.unsigned_abs());
    let mut call = ToolCall::new(tool, CallTime::new(start.plus_micros(n * 10_000), duration));
    if let Some(error) = error {
        call.outcome = Outcome::failure(error);
    }
    Event::from(call).to_line()
}
