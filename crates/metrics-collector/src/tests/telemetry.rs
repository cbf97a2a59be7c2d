//! The fields of Tier 3, in their order.

use metrics_core::{CallTime, Decimal, ErrorText, LlmCall, Outcome, ToolCall, TraceFields, Usage};

use super::{Failed, Worker, hear};
use crate::{
    log_worker_death, record_llm_call, record_tool_call, start_llm_call, start_tool_call, tool_call,
};

/// One call of each kind with everything that can be known.
fn full_calls(outcome: &Outcome<'static>) -> (LlmCall<'static>, ToolCall<'static>) {
    let start = "2025-12-15T03:19:13.500000Z".parse().unwrap();
    let time = CallTime::new(start, std::time::Duration::from_millis(19_500));
    let trace = TraceFields {
        trace_id: "0af7651916cd43dd8448eb211c80319c".parse().ok(),
        span_id: "b7ad6b7169203331".parse().ok(),
        parent_span_id: "00f067aa0ba902b7".parse().ok(),
    };
    let mut llm = LlmCall::new("tool_decision", "gpt-5-mini", time);
    llm.usage = Usage {
        cached_tokens: Some(4),
        cache_write_tokens: Some(5),
        reasoning_tokens: Some(6),
        ..Usage::new(1234, 89)
    };
    llm.ttft_ms = Some(7);
    llm.provider = Some("openai".into());
    llm.attempt = Some(2);
    llm.outcome = outcome.clone();
    llm.cost_usd = Some(Decimal::new(48650, 8));
    llm.trace = trace;
    let mut tool = ToolCall::new("ssh_exec", time);
    tool.outcome = outcome.clone();
    tool.tool_call_id = Some("call_1".into());
    tool.trace = trace;
    (llm, tool)
}

fn heard_of(calls: impl FnOnce()) -> String {
    let (heard, worker) = (hear(), Worker::new("2025-12-15T03-19-12_backup"));
    worker.collector.scope_sync(calls);
    heard.lines().join("\n")
}

#[test]
fn a_call_of_which_little_is_known() {
    let heard = heard_of(|| {
        start_llm_call("gpt-5-mini", "initial").succeed();
        start_tool_call("ssh_exec").succeed();
        start_llm_call("gpt-5-mini", "initial").fail("");
        start_tool_call("ssh_exec").fail("");
    });
    insta::assert_snapshot!(heard, @r#"
    INFO message="llm_call_complete" end_unix_us=1765771688123456 phase="initial" duration_ms=0 worker_id="2025-12-15T03-19-12_backup" model="gpt-5-mini" event="llm_call_complete"
    INFO message="tool_call_complete" end_unix_us=1765771688123456 tool="ssh_exec" duration_ms=0 success=true worker_id="2025-12-15T03-19-12_backup" event="tool_call_complete"
    WARN message="llm_call_complete" end_unix_us=1765771688123456 phase="initial" duration_ms=0 worker_id="2025-12-15T03-19-12_backup" model="gpt-5-mini" success=false event="llm_call_complete"
    WARN message="tool_call_complete" end_unix_us=1765771688123456 tool="ssh_exec" duration_ms=0 success=false worker_id="2025-12-15T03-19-12_backup" event="tool_call_complete"
    "#);
}

#[test]
fn a_successful_call_of_which_all_is_known() {
    let heard = heard_of(|| {
        let (llm, tool) = full_calls(&Outcome::Success);
        record_llm_call(llm);
        record_tool_call(tool);
    });
    insta::assert_snapshot!(heard, @r#"
    INFO message="llm_call_complete" end_unix_us=1765768773000000 phase="tool_decision" duration_ms=19500 worker_id="2025-12-15T03-19-12_backup" model="gpt-5-mini" prompt_tokens=1234 completion_tokens=89 total_tokens=1323 cached_tokens=4 cache_write_tokens=5 reasoning_tokens=6 ttft_ms=7 provider="openai" attempt=2 cost_usd=0.00048650 trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331 event="llm_call_complete"
    INFO message="tool_call_complete" end_unix_us=1765768773000000 tool="ssh_exec" duration_ms=19500 success=true worker_id="2025-12-15T03-19-12_backup" tool_call_id="call_1" trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331 event="tool_call_complete"
    "#);
}

#[test]
fn a_failed_call_of_which_all_is_known() {
    let heard = heard_of(|| {
        let (llm, tool) = full_calls(&Outcome::failure("no route"));
        record_llm_call(llm);
        record_tool_call(tool);
    });
    insta::assert_snapshot!(heard, @r#"
    WARN message="llm_call_complete" end_unix_us=1765768773000000 phase="tool_decision" duration_ms=19500 worker_id="2025-12-15T03-19-12_backup" model="gpt-5-mini" prompt_tokens=1234 completion_tokens=89 total_tokens=1323 cached_tokens=4 cache_write_tokens=5 reasoning_tokens=6 ttft_ms=7 provider="openai" attempt=2 success=false error="no route" cost_usd=0.00048650 trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331 event="llm_call_complete"
    WARN message="tool_call_complete" end_unix_us=1765768773000000 tool="ssh_exec" duration_ms=19500 success=false worker_id="2025-12-15T03-19-12_backup" error="no route" tool_call_id="call_1" trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331 event="tool_call_complete"
    "#);
}

#[tokio::test]
async fn one_call_is_one_event_on_both_tiers() {
    let (heard, worker) = (hear(), Worker::new("w"));
    for _ in 0..3 {
        let call = tool_call("t", async { Ok::<_, Failed>(()) });
        worker.collector.scope(call).await.unwrap();
    }
    tool_call("outside", async { Ok::<_, Failed>(()) })
        .await
        .unwrap();
    assert_eq!((heard.lines().len(), worker.seen().len()), (3, 3));
}

#[test]
fn a_death_says_what_it_cut_off_and_whom_it_met() {
    let heard = hear();
    let (mut llm, mut tool) = full_calls(&Outcome::Failure(ErrorText::WORKER_DIED));
    llm.trace = TraceFields::default();
    (tool.tool_call_id, tool.trace) = (None, TraceFields::default());
    let events = [llm.into(), tool.into()];
    log_worker_death(&"2025-12-15T03-19-12_backup".into(), &events);
    let lines = heard.lines();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].contains("llm_call_complete") && lines[0].contains("worker died"));
    insta::assert_snapshot!(lines[1..].join("\n"), @r#"
    WARN message="tool_call_complete" end_unix_us=1765768773000000 tool="ssh_exec" duration_ms=19500 success=false worker_id="2025-12-15T03-19-12_backup" error="worker died" event="tool_call_complete"
    WARN message=worker_died worker_id="2025-12-15T03-19-12_backup" event="worker_died"
    "#);
}
