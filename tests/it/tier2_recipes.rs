//! The `jq` recipes for `metrics.jsonl`, as the guides give them, run by the real `jq` over the files of real workers. What
//! they must answer is computed here, from the same files.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use metrics_collector::{MetricsCollector, record_llm_call, record_tool_call};
use metrics_core::{CallTime, Event, LlmCall, Outcome, Phase, Timestamp, ToolCall, Usage};
use serde_json::{Deserializer, Value, json};
use worker_runner::{Message, Role, RunOptions, WorkerRunner};

use crate::support::{Lab, MetricsFile, agent, demo, require, sh};

const SLOWEST_LLM_CALLS: &str = "jq -s 'sort_by(.duration_ms) | reverse | .[0:5]' metrics.jsonl";
const TOTAL_LLM_TIME: &str =
    r#"jq -s '[.[] | select(.event=="llm_call") | .duration_ms] | add' metrics.jsonl"#;
const TOOL_CALLS: &str = r#"jq -s '[.[] | select(.event=="tool_call")] | length' metrics.jsonl"#;
const FAILED_TOOLS: &str =
    r#"jq -s '.[] | select(.event=="tool_call" and .success==false)' metrics.jsonl"#;

/// Runs a recipe in a worker's directory and reads the JSON values that it prints.
#[track_caller]
fn jq(dir: &Path, recipe: &str) -> Vec<Value> {
    let answer = sh(dir, recipe).answer();
    let values = Deserializer::from_str(&answer).into_iter();
    values
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error} in {answer}"))
}

/// The directories of workers of all kinds: those of the demo, one with many calls, one without any.
struct Workers {
    dirs: Vec<PathBuf>,
    _lab: Lab,
}

impl Workers {
    async fn new() -> Self {
        let lab = Lab::with_agent(agent(|task, _| async move {
            if task == "many calls" {
                record_many_calls();
            }
            Ok(())
        }));
        let mut dirs = demo().workers();
        for task in ["many calls", "no call"] {
            dirs.push(lab.worker_dir(&lab.run_worker(task).await.worker_id));
        }
        Self { dirs, _lab: lab }
    }

    fn files(&self) -> impl Iterator<Item = (&Path, MetricsFile)> {
        let dirs = self.dirs.iter();
        dirs.map(|it| (it.as_path(), MetricsFile::read(&it.join("metrics.jsonl"))))
    }
}

/// Calls of all lengths, equal ones too, in no order, with texts that could confuse a careless reader.
fn record_many_calls() {
    let start: Timestamp = "2025-12-15T04:08:08.123456Z".parse().unwrap();
    let failures = [
        None,
        Some("timeout"),
        Some(r#""success":true"#),
        Some("a\nb"),
    ];
    for (n, millis) in [7, 20_000, 0, 111, 111, 19_500, 3, 1_234, 86_400_000]
        .into_iter()
        .enumerate()
    {
        let time = CallTime::new(start, Duration::from_millis(millis));
        let mut call = LlmCall::new(Phase::TOOL_DECISION, "gpt-5-mini", time);
        call.usage = Usage::new(1234, 89);
        if n == 4 {
            // A model call that failed is no failed tool.
            call.outcome = Outcome::failure("HTTP 503");
        }
        record_llm_call(call);
        let time = CallTime::new(start, Duration::from_millis(millis * 2));
        let mut call = ToolCall::new("ssh_exec", time);
        if let Some(error) = failures[n % failures.len()] {
            call.outcome = Outcome::failure(error);
        }
        record_tool_call(call);
    }
}

/// The line of an event as another reader sees it.
fn as_json(event: &Event<'_>) -> Value {
    serde_json::from_str(&event.to_line()).unwrap()
}

#[tokio::test]
async fn slowest_calls() {
    require!("jq");
    for (dir, file) in Workers::new().await.files() {
        let mut events: Vec<_> = file.events.iter().collect();
        // Stable, as `sort_by` of jq is: of equal ones the last comes first after `reverse`.
        events.sort_by_key(|it| it.time().duration_ms());
        let slowest: Vec<_> = events.into_iter().rev().take(5).map(as_json).collect();
        assert_eq!(
            jq(dir, SLOWEST_LLM_CALLS),
            [json!(slowest)],
            "{}",
            file.text
        );
    }
}

#[tokio::test]
async fn total_llm_time() {
    require!("jq");
    for (dir, file) in Workers::new().await.files() {
        let is_llm = |it: &&Event<'_>| matches!(it, Event::LlmCall(_));
        let llm_calls: Vec<_> = file.events.iter().filter(is_llm).collect();
        let total: u64 = llm_calls.iter().map(|it| it.time().duration_ms()).sum();
        // jq's sum of nothing is null.
        let expected = if llm_calls.is_empty() {
            Value::Null
        } else {
            json!(total)
        };
        assert_eq!(jq(dir, TOTAL_LLM_TIME), [expected], "{}", file.text);
    }
}

#[tokio::test]
async fn number_of_tool_calls() {
    require!("jq");
    for (dir, file) in Workers::new().await.files() {
        let is_tool = |it: &&Event<'_>| matches!(it, Event::ToolCall(_));
        let n_tool_calls = file.events.iter().filter(is_tool).count();
        assert_eq!(jq(dir, TOOL_CALLS), [json!(n_tool_calls)], "{}", file.text);
    }
}

#[tokio::test]
async fn failed_tools() {
    require!("jq");
    let mut n_failed = 0;
    for (dir, file) in Workers::new().await.files() {
        let is_failed_tool =
            |it: &&Event<'_>| matches!(it, Event::ToolCall(call) if !call.outcome.is_success());
        let failed: Vec<_> = file
            .events
            .iter()
            .filter(is_failed_tool)
            .map(as_json)
            .collect();
        n_failed += failed.len();
        assert_eq!(jq(dir, FAILED_TOOLS), failed, "{}", file.text);
    }
    // The demo's two, and those of the worker with many calls.
    assert_eq!(n_failed, 2 + 6);
}

/// The recipes tell of the demo what a person knows who reads its tasks.
#[test]
fn the_recipes_find_what_the_demo_did() {
    require!("jq");
    // The two tasks that begin with a request have ids alike.
    let is_of = |dir: &Path, part: &str| dir.to_string_lossy().contains(part);
    let requests = demo()
        .workers()
        .into_iter()
        .filter(|it| is_of(it, "_fetch-http-"));
    let failed: Vec<_> = requests.flat_map(|it| jq(&it, FAILED_TOOLS)).collect();
    let [failed] = &*failed else {
        panic!("not one failed request: {failed:?}");
    };
    assert_eq!(failed["tool"], "http_request");
    let error = failed["error"].as_str().unwrap();
    assert!(error.starts_with("HTTP 404 "), "{error}");

    let (too_slow, file) = demo().worker("_calculate-6-7-then-run-sleep");
    let [failed] = &*jq(&too_slow, FAILED_TOOLS) else {
        panic!("not one failed tool: {}", file.text);
    };
    assert_eq!(failed["tool"], "shell_exec");
    assert_eq!(failed["error"], "timeout");
    let slowest = jq(&too_slow, SLOWEST_LLM_CALLS);
    assert_eq!(slowest[0][0], *failed);
    assert_eq!(jq(&too_slow, TOOL_CALLS), [json!(2)]);
}

/// The recipes work on a file that still grows: whatever is there is whole.
#[tokio::test]
async fn a_running_workers_file_is_whole() {
    require!("jq");
    let lab = Lab::new();
    let data_dir = lab.data_dir().to_owned();
    let asks_jq = agent(move |_, context| {
        let collector = MetricsCollector::current().unwrap();
        let dir = data_dir.join(collector.worker_id().as_str());
        async move {
            let before = jq(&dir, TOOL_CALLS);
            record_many_calls();
            collector.flush().await.unwrap();
            let after = jq(&dir, TOOL_CALLS);
            context.say(Message::text(
                Role::Assistant,
                format!("{before:?} {after:?}"),
            ));
            Ok(())
        }
    });
    let runner = WorkerRunner::new(lab.store().clone(), Arc::new(asks_jq));
    let report = runner
        .run_worker("ask jq", RunOptions::default())
        .await
        .unwrap();
    assert_eq!(report.error, None);
    assert_eq!(report.result, "[Number(0)] [Number(9)]");
}
