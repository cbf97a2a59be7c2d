//! What a worker's calls cost: found while it runs, kept in its metadata and its report.

use std::{fs, sync::Arc, time::Duration};

use metrics_collector::MetricsCollector;
use metrics_core::{CallTime, LlmCall, Outcome, ToolCall, Usage};
use model_prices::PriceTable;
use serde_json::json;

use super::support::{Home, ScriptedModel, say};
use crate::{RunOptions, agent_fn};

/// A call that began at `at`, of 1234 and 89 tokens.
fn call(model: &'static str, at: &str) -> LlmCall<'static> {
    let time = CallTime::new(at.parse().unwrap(), Duration::from_millis(5));
    let mut call = LlmCall::new("initial", model, time);
    call.usage = Usage::new(1234, 89);
    call.provider = Some("mine".into());
    call
}

/// A model whose price was raised, and the model of the summary.
fn prices() -> PriceTable {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("prices.json");
    let prices = json!({"providers": [{"id": "*", "models": [
        {"id": "m", "prices": [{"input": 1, "output": 10}, {"from": "2026-03-01", "input": 2, "output": 20}]},
        {"id": "scripted", "prices": [{"input": 0.000_001, "output": 0}]},
    ]}]});
    fs::write(&path, prices.to_string()).unwrap();
    PriceTable::from_file(&path).unwrap()
}

#[tokio::test]
async fn each_call_costs_what_it_did_at_its_moment_and_nothing_is_guessed() {
    let home = Home::new();
    let agent = agent_fn(|_| async {
        let collector = MetricsCollector::current().unwrap();
        collector.record(call("m", "2026-02-28T23:59:59.999999Z"));
        collector.record(call("m", "2026-03-01T00:00:00Z"));
        let mut reported = call("m", "2026-03-01T00:00:00Z");
        reported.cost_usd = Some("0.0000001".parse().unwrap());
        collector.record(reported);
        let mut refused = call("m", "2026-03-01T00:00:00Z");
        refused.usage = Usage::default();
        refused.outcome = Outcome::failure("rate_limited");
        collector.record(refused);
        collector.record(call("unheard-of", "2026-03-01T00:00:00Z"));
        let time = CallTime::new("2026-03-01T00:00:00Z".parse().unwrap(), Duration::ZERO);
        collector.record(ToolCall::new("t", time));
        Ok::<_, String>("done")
    });
    let report = home
        .runner(agent)
        .prices(prices())
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    // 0.001234 + 0.00089 before the rise, twice that after it, and what the provider said.
    let usage = json!({
        "llm_calls": 5, "llm_failures": 1, "tool_calls": 1, "tool_failures": 0,
        "prompt_tokens": 4936, "completion_tokens": 356, "total_tokens": 5292,
        "cost_usd": 0.006_372_1, "cost_unknown": {"unheard-of": 1},
    });
    let metadata: serde_json::Value =
        serde_json::from_str(&home.file(&report.worker_id, "metadata.json")).unwrap();
    assert_eq!(metadata["usage"], usage);
    let usage = home.metadata(&report.worker_id).usage.unwrap();
    assert_eq!(usage.cost_usd.unwrap().to_string(), "0.0063721");
    let text = report.cost.to_string();
    assert_eq!(text, "at least $0.0064 (price of unheard-of unknown)");
}

#[tokio::test]
async fn the_report_has_the_summary_s_own_call_too() {
    let home = Home::new();
    let model = || Arc::new(ScriptedModel::new([say("Short.")]));
    let agent = agent_fn(|_| async { Ok::<_, String>("done") });
    let report = home
        .runner(agent)
        .summary_model(model())
        .prices(prices())
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    let prompt = report.totals.usage.prompt_tokens.unwrap();
    let cost = report.cost.known().unwrap().to_decimal();
    assert_eq!(
        cost.to_string(),
        format!("0.{prompt:012}").trim_end_matches('0')
    );
    // What was read of the worker at its end stays as it was.
    let usage = home.metadata(&report.worker_id).usage.unwrap();
    assert_eq!((usage.llm_calls, usage.cost_usd), (0, None));
}
