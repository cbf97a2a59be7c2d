//! `get_worker_metadata` and `worker_metrics`.

use std::fs;

use insta::assert_snapshot;
use serde_json::json;

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
    Failures: 1
    - http_request after 5ms: connection refused
    Events of other kinds: 1
    Lines that could not be used: 1
    - line 5: expected ident at column 2
    Warning: 2 events lost (disk full)
    ");
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
    let path = office.path("2025-12-15T04-08-08_make-calls", "metrics.jsonl");
    let lines = fs::read_to_string(&path).unwrap();
    let call = lines.lines().nth(1).unwrap();
    let mut many = String::new();
    for n in 0..3000 {
        let name = format!("tool-{n}-{}", "x".repeat(500));
        many.push_str(&call.replace("ssh_exec", &name));
        many.push('\n');
    }
    fs::write(&path, many).unwrap();
    let text = office.call("worker_metrics", json!({"job_id": id})).await;
    assert!(text.contains("\nTool calls: 3000, "), "{text}");
    assert!(text.contains("\n- other: 2000, "), "{text}");
    assert!(text.contains("\n- and 981 more\n"), "{text}");
    assert!(text.len() < 5000, "{}", text.len());
}
