//! What the layer makes of spans, as a worker's events show it.

mod fields;
mod nesting;
mod outcomes;
mod scopes;

use std::{sync::Arc, time::Duration};

use metrics_collector::MetricsCollector;
use metrics_core::{Event, LlmCall, ManualClock, MemorySink, TraceContext, WorkerId};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt as _;

/// A worker whose events stay in memory and whose time stands still.
struct Worker {
    id: WorkerId,
    sink: Arc<MemorySink>,
    time: ManualClock,
    collector: MetricsCollector,
}

impl Worker {
    fn new(id: &str) -> Self {
        let (id, sink) = (WorkerId::from(id), Arc::new(MemorySink::default()));
        let time = ManualClock::at("2025-12-15T04:08:08.123456Z".parse().unwrap());
        let trace = TraceContext::root();
        let collector = MetricsCollector::with(id.clone(), sink.clone(), trace, time.clock());
        Self {
            id,
            sink,
            time,
            collector,
        }
    }

    fn pass_ms(&self, ms: u64) {
        self.time.advance(Duration::from_millis(ms));
    }

    fn within<T>(&self, body: impl FnOnce() -> T) -> T {
        self.collector.scope_sync(body)
    }

    fn events(&self) -> Vec<Event<'static>> {
        self.sink.events(&self.id)
    }

    /// The one event, which is of a model call.
    #[track_caller]
    fn llm_call(&self) -> LlmCall<'static> {
        match <[_; 1]>::try_from(self.events()) {
            Ok([Event::LlmCall(call)]) => call,
            other => panic!("{other:?}"),
        }
    }

    /// The events in short: name, duration, error.
    fn seen(&self) -> Vec<String> {
        let seen = self.events().into_iter().map(|event| {
            let name = match &event {
                Event::LlmCall(call) => call.model.to_string(),
                Event::ToolCall(call) => call.tool.to_string(),
                _ => unreachable!(),
            };
            let ms = event.time().duration_ms();
            let outcome = event.outcome();
            match (outcome.is_success(), outcome.error()) {
                (true, _) => format!("{name} {ms}ms"),
                (false, error) => format!("{name} {ms}ms: {}", error.unwrap_or_default()),
            }
        });
        seen.collect()
    }

    fn in_flight(&self) -> Vec<String> {
        let calls = self.collector.in_flight().into_iter();
        calls.map(|it| it.name).collect()
    }
}

/// The layer as this thread's subscriber.
fn watch() -> DefaultGuard {
    tracing::subscriber::set_default(tracing_subscriber::registry().with(crate::layer()))
}

/// A model call's span, as a library makes one that knows no fields for errors.
macro_rules! chat {
    ($model:expr $(, $($more:tt)*)?) => {
        tracing::info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = $model,
            gen_ai.response.id = tracing::field::Empty,
            $($($more)*)?
        )
    };
}

/// A tool call's span that tells nothing of how it went.
macro_rules! tool {
    ($tool:expr $(, $($more:tt)*)?) => {
        tracing::info_span!(
            "execute_tool",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = $tool,
            $($($more)*)?
        )
    };
}

use {chat, tool};

/// The model has answered.
fn answer(span: &tracing::Span) {
    span.record("gen_ai.response.id", "r-1");
}
