//! The events of triscope's `metrics.jsonl`: their types, their clock, their one canonical line, and a reader that
//! copes with any other.
//!
//! ```
//! use std::time::Duration;
//! use metrics_core::{CallTime, Event, LlmCall, Phase, Usage};
//!
//! let time = CallTime::new("2025-12-15T04:08:08.123456Z".parse()?, Duration::from_micros(111_111));
//! let mut call = LlmCall::new(Phase::INITIAL, "gpt-5-mini", time);
//! call.usage = Usage::new(1234, 89);
//! assert_eq!(
//!     Event::from(call).to_line(),
//!     r#"{"event":"llm_call","phase":"initial","model":"gpt-5-mini","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.234567Z","duration_ms":111,"prompt_tokens":1234,"completion_tokens":89,"total_tokens":1323}"#
//! );
//! # Ok::<(), metrics_core::TimestampError>(())
//! ```
//!
//! Invariant: this crate does no I/O of its own and knows no async runtime. The keys of the format are written down
//! here and nowhere else.

mod ascii;
mod clock;
mod commas;
mod decode;
mod duration_text;
mod encode;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod names;
mod printable;
mod reader;
mod scan;
mod sink;
mod timestamp;
mod trace;
mod usage;

#[cfg(test)]
mod line_tests;

pub use rust_decimal::Decimal;

pub use crate::{
    clock::{CallStart, CallTime, Clock, ManualClock},
    commas::with_commas,
    decode::{Decoded, LineFault, decode},
    duration_text::DurationText,
    event::{Event, ExtraFields, LlmCall, Outcome, ToolCall},
    names::{ErrorText, ModelName, Phase, ProviderName, ToolName, WorkerId},
    reader::{EventReader, Line, LineContent},
    sink::{EventSink, Flush, FlushPromise, MemorySink, SinkError},
    timestamp::{Timestamp, TimestampError},
    trace::{SpanId, TraceContext, TraceFields, TraceId, TraceIdError, derive_span_id},
    usage::Usage,
};
