//! A program without an async runtime that records its calls with `metrics-collector`.

use std::sync::Arc;

use metrics_collector::{MetricsCollector, start_llm_call, start_tool_call, thread_spawn};
use metrics_core::{MemorySink, Phase, Usage, WorkerId};

fn main() {
    let worker = WorkerId::from("2025-12-15T04-08-08_backup");
    let sink = Arc::new(MemorySink::default());
    let collector = MetricsCollector::new(worker.clone(), sink.clone());
    collector.scope_sync(|| {
        let mut call = start_llm_call("gpt-5-mini", Phase::INITIAL);
        call.usage(Usage::new(1234, 89));
        call.succeed();
        let thread = thread_spawn(|| start_tool_call("shell_exec").fail("exit code 3"));
        thread.join().expect("the thread does not panic");
    });
    start_tool_call("outside").succeed();
    let totals = collector.totals();
    assert_eq!(sink.events(&worker).len(), 2);
    assert_eq!(
        (totals.llm_calls, totals.tool_calls, totals.tool_failures),
        (1, 1, 1)
    );
    assert_eq!(totals.usage.total_tokens, Some(1323));
    println!("{} events", totals.events());
}
