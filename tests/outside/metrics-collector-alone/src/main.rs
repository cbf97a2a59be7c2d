//! An async program that records its calls with `metrics-collector`, into a sink of its own.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use metrics_collector::{
    MetricsCollector, llm_call, spawn, spawn_blocking, start_tool_call, tool_call,
};
use metrics_core::{Event, EventSink, Flush, MemorySink, Phase, Usage, WorkerId};

/// A program's own place for events: here it keeps their lines.
#[derive(Debug, Default)]
struct Lines(Mutex<Vec<String>>);

impl EventSink for Lines {
    fn record(&self, _: &WorkerId, event: &Event<'_>) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(event.to_line());
    }

    fn flush(&self, _: &WorkerId) -> Flush {
        Flush::ready(Ok(()))
    }
}

async fn ask(_: &str) -> Result<(String, u64, u64), io::Error> {
    Ok(("use the shell".into(), 1234, 89))
}

async fn shell(_: &str) -> Result<String, io::Error> {
    Ok("ok".into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // As the README shows.
    let worker = WorkerId::from("2025-12-15T04-08-08_backup");
    let sink = Arc::new(MemorySink::default());
    let collector = MetricsCollector::new(worker.clone(), sink.clone());
    collector
        .scope(async {
            let _reply = llm_call("gpt-5-mini", Phase::INITIAL, ask("What now?"))
                .usage(|(_, prompt, completion)| Usage::new(*prompt, *completion))
                .await?;
            tool_call("shell_exec", shell("true")).await
        })
        .await?;
    assert_eq!(sink.events(&worker).len(), 2);
    assert_eq!(collector.totals().usage.total_tokens, Some(1323));

    // With a sink of one's own, and from other tasks and threads.
    let lines = Arc::new(Lines::default());
    let collector = MetricsCollector::new(worker, lines.clone());
    collector
        .scope(async {
            spawn(tool_call("in_a_task", shell("true"))).await??;
            spawn_blocking(|| start_tool_call("on_a_thread").succeed()).await?;
            Ok::<_, Box<dyn std::error::Error>>(())
        })
        .await?;
    collector.flush().await?;
    let lines = lines.0.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(lines[0].starts_with(r#"{"event":"tool_call","tool":"in_a_task","start_ts":""#));
    assert!(lines[1].starts_with(r#"{"event":"tool_call","tool":"on_a_thread","start_ts":""#));
    println!("{} and 2 events", lines.len());
    Ok(())
}
