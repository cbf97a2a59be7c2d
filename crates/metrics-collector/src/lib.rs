//! Records what an agent's LLM and tool calls cost, for whichever worker the calling task belongs to.
//!
//! ```
//! use std::sync::Arc;
//! use metrics_collector::{MetricsCollector, llm_call, tool_call};
//! use metrics_core::{MemorySink, Phase, Usage, WorkerId};
//!
//! # async fn ask(_: &str) -> Result<(String, u64, u64), std::io::Error> { Ok(("use the shell".into(), 1234, 89)) }
//! # async fn shell(_: &str) -> Result<String, std::io::Error> { Ok("ok".into()) }
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # runtime.block_on(async {
//! let worker = WorkerId::from("2025-12-15T04-08-08_backup");
//! let sink = Arc::new(MemorySink::default()); // Or an artifact store, which writes `metrics.jsonl`.
//! let collector = MetricsCollector::new(worker.clone(), sink.clone());
//! collector
//!     .scope(async {
//!         let _reply = llm_call("gpt-5-mini", Phase::INITIAL, ask("What now?"))
//!             .usage(|(_, prompt, completion)| Usage::new(*prompt, *completion))
//!             .await?;
//!         tool_call("shell_exec", shell("true")).await
//!     })
//!     .await?;
//! assert_eq!(sink.events(&worker).len(), 2);
//! assert_eq!(collector.totals().usage.total_tokens, Some(1323));
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Every call records one event on Tier 2 (the sink) and one on Tier 3 (a `tracing` event with the target
//! `triscope::telemetry`). Outside a scope everything here is a no-op that costs nanoseconds, so a library can record
//! without asking who calls it.
//!
//! The scope follows `.await`, `select!`, `join!` and streams by itself. What leaves the task is carried over by
//! `spawn` and `spawn_blocking` (feature `tokio`, on by default), [`thread_spawn`], [`carry`] or
//! [`InScope::in_current_scope`], which takes futures and streams. A stream that is polled elsewhere is put into a scope
//! by [`MetricsCollector::scope_stream`]. Blocking programs have [`MetricsCollector::scope_sync`].
//!
//! Besides the wrappers there are timers, [`start_llm_call`] and [`start_tool_call`], for blocking code and streamed
//! replies. A call that is dropped is recorded as `cancelled`, one that panics as `panicked`;
//! [`MetricsCollector::close`] ends those that cannot end by themselves.

mod calls;
mod collector;
mod context;
mod guard;
mod spawn;
mod telemetry;
mod timer;

#[cfg(test)]
mod tests;

#[cfg(feature = "tokio")]
pub use crate::spawn::{spawn, spawn_blocking};
pub use crate::{
    calls::{LlmCallFuture, ToolCallFuture, llm_call, tool_call},
    collector::{CallKind, InFlightCall, MetricsCollector, SeenCalls, Totals},
    context::{InCurrentScope, InScope, Scope, carry},
    spawn::thread_spawn,
    timer::{LlmTimer, ToolTimer, start_llm_call, start_tool_call},
};

use metrics_core::{Event, LlmCall, ToolCall, WorkerId};

/// Records a finished model call for the current scope; does nothing outside one.
pub fn record_llm_call(call: LlmCall<'_>) {
    if context::is_none() {
        return;
    }
    if let Some(collector) = MetricsCollector::current() {
        collector.record(call);
    }
}

/// Records a finished tool call for the current scope; does nothing outside one.
pub fn record_tool_call(call: ToolCall<'_>) {
    if context::is_none() {
        return;
    }
    if let Some(collector) = MetricsCollector::current() {
        collector.record(call);
    }
}

/// Says on Tier 3 that a worker's process died: the line of each call that it cut off, and one for the worker.
///
/// For whoever finds a dead worker and adds `events` to its `metrics.jsonl`.
pub fn log_worker_death<'a>(worker: &WorkerId, events: impl IntoIterator<Item = &'a Event<'a>>) {
    for event in events {
        telemetry::emit(worker, event);
    }
    telemetry::emit_death(worker);
}

/// The call that the running code is a part of: the innermost [`llm_call`] or [`tool_call`] around it.
///
/// For whoever learns of calls in another way as well, and must not record one of these again.
pub fn current_call() -> Option<InFlightCall> {
    context::with(|it| it.collector.call(it.call?)).flatten()
}

/// The worker whose scope this task is in.
pub fn current_worker_id() -> Option<WorkerId> {
    context::with(|it| it.collector.worker_id().clone())
}
