//! Tier 3: one `tracing` event a call, with the fields of the seed's log lines in their order.
//!
//! `end_unix_us` (microseconds since the Unix epoch) is when the call ended; a formatter that knows it stamps the line
//! with it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use metrics_core::{Event, LlmCall, ToolCall, TraceFields, WorkerId};
use tracing::Level;

pub(crate) fn emit(worker: &WorkerId, event: &Event<'_>) {
    best_effort(|| match event {
        Event::LlmCall(call) => emit_llm_call(worker, call),
        Event::ToolCall(call) => emit_tool_call(worker, call),
        // A kind that a newer core knows has no line here yet.
        _ => {}
    });
}

/// A subscriber of somebody else's may panic, as one that prints to a full device does; the worker must not notice.
fn best_effort(emit: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(emit));
}

/// Most calls are plain: a callsite without what they lack saves every subscriber the look at it.
fn emit_llm_call(worker: &WorkerId, call: &LlmCall<'_>) {
    macro_rules! emit {
        ($level:expr, $($more:tt)*) => {
            tracing::event!(
                target: "triscope::telemetry",
                $level,
                message = "llm_call_complete",
                end_unix_us = call.time.end_ts().unix_micros(),
                phase = call.phase.as_str(),
                duration_ms = call.time.duration_ms(),
                worker_id = worker.as_str(),
                model = call.model.as_str(),
                prompt_tokens = call.usage.prompt_tokens,
                completion_tokens = call.usage.completion_tokens,
                total_tokens = call.usage.total_tokens,
                $($more)*
                event = "llm_call_complete",
            )
        };
    }
    macro_rules! emit_all {
        ($level:expr, $success:expr) => {
            emit!(
                $level,
                cached_tokens = call.usage.cached_tokens,
                cache_write_tokens = call.usage.cache_write_tokens,
                reasoning_tokens = call.usage.reasoning_tokens,
                ttft_ms = call.ttft_ms,
                provider = call.provider.as_ref().map(|it| it.as_str()),
                attempt = call.attempt,
                success = $success,
                error = call.outcome.error(),
                cost_usd = call.cost_usd.map(tracing::field::display),
                trace_id = call.trace.trace_id.map(tracing::field::display),
                span_id = call.trace.span_id.map(tracing::field::display),
            )
        };
    }
    if !call.outcome.is_success() {
        emit_all!(Level::WARN, Some(false));
    } else if is_plain(call) {
        emit!(Level::INFO,);
    } else {
        emit_all!(Level::INFO, None::<bool>);
    }
}

/// Whether a successful call says nothing beyond the seed's fields.
fn is_plain(call: &LlmCall<'_>) -> bool {
    let usage = &call.usage;
    usage.cached_tokens.is_none()
        && usage.cache_write_tokens.is_none()
        && usage.reasoning_tokens.is_none()
        && call.ttft_ms.is_none()
        && call.provider.is_none()
        && call.attempt.is_none()
        && call.cost_usd.is_none()
        && call.trace == TraceFields::default()
}

fn emit_tool_call(worker: &WorkerId, call: &ToolCall<'_>) {
    macro_rules! emit {
        ($level:expr, $success:expr) => {
            tracing::event!(
                target: "triscope::telemetry",
                $level,
                message = "tool_call_complete",
                end_unix_us = call.time.end_ts().unix_micros(),
                tool = call.tool.as_str(),
                duration_ms = call.time.duration_ms(),
                success = $success,
                worker_id = worker.as_str(),
                error = call.outcome.error(),
                tool_call_id = call.tool_call_id.as_deref(),
                trace_id = call.trace.trace_id.map(tracing::field::display),
                span_id = call.trace.span_id.map(tracing::field::display),
                event = "tool_call_complete",
            )
        };
    }
    if call.outcome.is_success() {
        emit!(Level::INFO, true);
    } else {
        emit!(Level::WARN, false);
    }
}

pub(crate) fn emit_loss(worker: &WorkerId, lost: u64) {
    best_effort(|| {
        tracing::event!(
            target: "triscope::telemetry",
            Level::WARN,
            lost,
            worker_id = worker.as_str(),
            event = "events_lost",
            "events_lost"
        );
    });
}

pub(crate) fn emit_death(worker: &WorkerId) {
    best_effort(|| {
        tracing::event!(
            target: "triscope::telemetry",
            Level::WARN,
            worker_id = worker.as_str(),
            event = "worker_died",
            "worker_died"
        );
    });
}
