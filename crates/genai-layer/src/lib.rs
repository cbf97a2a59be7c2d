//! Records the model and tool calls of any agent library that emits `tracing` spans with OpenTelemetry's GenAI fields.
//!
//! ```
//! use std::sync::Arc;
//! use metrics_collector::MetricsCollector;
//! use metrics_core::{MemorySink, WorkerId};
//! use tracing::{field::Empty, info_span};
//! use tracing_subscriber::layer::SubscriberExt as _;
//!
//! // What an agent library does by itself:
//! fn ask() {
//!     let span = info_span!(
//!         "chat",
//!         gen_ai.operation.name = "chat",
//!         gen_ai.request.model = "gpt-5-mini",
//!         gen_ai.usage.input_tokens = Empty,
//!         gen_ai.usage.output_tokens = Empty,
//!     );
//!     span.record("gen_ai.usage.input_tokens", 1234);
//!     span.record("gen_ai.usage.output_tokens", 89);
//! }
//!
//! // What a program adds:
//! let subscriber = tracing_subscriber::registry().with(genai_layer::layer());
//! # tracing::subscriber::with_default(subscriber, || {
//!
//! let worker = WorkerId::from("2025-12-15T04-08-08_backup");
//! let sink = Arc::new(MemorySink::default());
//! MetricsCollector::new(worker.clone(), sink.clone()).scope_sync(ask);
//! let line = sink.events(&worker)[0].to_line();
//! assert!(line.starts_with(r#"{"event":"llm_call","phase":"chat","model":"gpt-5-mini","#));
//! assert!(line.ends_with(r#","prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323}"#));
//! # });
//! ```
//!
//! # What becomes an event
//! - A span with `gen_ai.operation.name`. `chat`, `text_completion`, `generate_content`, `embeddings`, `rerank`,
//!   `transcription`, `image_generation` and `audio_generation` are model calls, with that name as their phase;
//!   `execute_tool` is a tool call; all others, such as `invoke_agent`, are none.
//! - It belongs to the scope that was current **when it was created**, wherever it closes; created outside any scope, to
//!   that of the GenAI span around it, so that a task spawned with its parent's span belongs to its parent's worker. With
//!   neither it costs a look at the scope and is not recorded.
//! - The call starts when the span is created and ends when it closes, that is, when its last handle is gone; its duration
//!   is by the collector's clock. Meanwhile it is in flight as any other call, and so becomes an event when its worker is
//!   timed out. Fields that are recorded later count.
//! - A `tracing` event with these fields tells of the call whose span it is in. With an operation of its own, and in no span
//!   of such a call, it is a finished call of unknown duration, written as 0.
//!
//! # One call, one event
//! - A model call directly inside a model call, as where an agent wraps a client or a loop tries again: only the inner ones
//!   are recorded. A tool or an agent between the two makes them two calls.
//! - A tool call directly inside one of the same tool: only the outer one, which knows the model's id for it.
//! - Inside the collector's `llm_call`, model calls are that call and not recorded again; nor are calls of the same tool
//!   inside `tool_call`. The other way about, a wrapper inside such a span, and the collector's timers in any place, are
//!   calls of their own: record a call in one way only.
//!
//! # How a call went
//! A failed call says so: with `error.type`, with `otel.status_code` = `error`, with rig's `gen_ai.tool.call.outcome`, or with
//! the event that `#[instrument(err)]` emits. A span that is closed while a panic unwinds is `panicked`, one whose worker
//! is being stopped has the reason of that. A span that has fields for a response and closes without any has none to
//! show: `cancelled`, where it has a field for errors too (they would be in it), else `no response`, which may be either:
//! rig's model calls have no such field. Everything else is a success.
//!
//! Prompts and replies, which some libraries put into such fields, are never read. Fields of the wrong type are passed over.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

mod call;
mod facts;
mod layer;
mod operation;

#[cfg(test)]
mod tests;

pub use crate::layer::layer;
