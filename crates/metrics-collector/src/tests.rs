//! What a user of the scopes sees: a file for each promise, and what they share.

mod clocks;
mod closing;
mod nesting;
mod outcomes;
mod readme;
mod scopes;
mod sinks;
mod streams;
mod telemetry;

use std::{
    fmt::{self, Write as _},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use metrics_core::{Event, LlmCall, ManualClock, MemorySink, TraceContext, WorkerId};
use tracing::{Dispatch, Subscriber, field, subscriber::DefaultGuard};
use tracing_subscriber::{
    Layer,
    layer::{self, SubscriberExt as _},
};

use crate::MetricsCollector;

/// An error of a tool or model.
#[derive(Debug)]
struct Failed(&'static str);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

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

    fn events(&self) -> Vec<Event<'static>> {
        self.sink.events(&self.id)
    }

    /// The events in short: `ssh_exec 98ms`, `gpt-5-mini/initial 7ms: timeout`.
    fn seen(&self) -> Vec<String> {
        self.events().iter().map(short).collect()
    }

    fn pass_ms(&self, ms: u64) {
        self.time.advance(Duration::from_millis(ms));
    }
}

fn short(event: &Event<'_>) -> String {
    let mut res = match event {
        Event::LlmCall(LlmCall { model, phase, .. }) => format!("{model}/{phase}"),
        Event::ToolCall(call) => call.tool.to_string(),
        other => panic!("{other:?}"),
    };
    let _ = write!(res, " {}ms", event.time().duration_ms());
    if !event.outcome().is_success() {
        let _ = write!(res, ": {}", event.outcome().error().unwrap_or_default());
    }
    res
}

/// Polls once, as a runtime that has nothing else to do.
fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// What Tier 3 said on this thread while the guard lives: `LEVEL field=value …`, in the order of the fields.
struct Heard(Arc<Mutex<Vec<String>>>, #[expect(dead_code)] DefaultGuard);

impl Heard {
    fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn hear() -> Heard {
    let lines = Arc::default();
    let guard = subscribe(Hear(Arc::clone(&lines)));
    Heard(lines, guard)
}

fn subscribe(layer: impl Layer<tracing_subscriber::Registry> + Send + Sync) -> DefaultGuard {
    // With a single subscriber in the process, a thread that has none would switch our events off for all others, as
    // `tracing` then asks only the thread that comes by first.
    static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
    ANOTHER.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
    tracing::subscriber::set_default(tracing_subscriber::registry().with(layer))
}

struct Hear(Arc<Mutex<Vec<String>>>);

impl<S: Subscriber> Layer<S> for Hear {
    fn on_event(&self, event: &tracing::Event<'_>, _: layer::Context<'_, S>) {
        struct Line(String);
        impl field::Visit for Line {
            fn record_debug(&mut self, field: &field::Field, value: &dyn fmt::Debug) {
                let _ = write!(self.0, " {}={value:?}", field.name());
            }
        }
        let metadata = event.metadata();
        if metadata.target() == "triscope::telemetry" {
            let mut line = Line(metadata.level().to_string());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
    }
}
