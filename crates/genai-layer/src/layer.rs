//! The layer: which spans and events are looked at, and what becomes of them.

use metrics_collector::MetricsCollector;
use tracing::{
    Event, Level, Metadata, Subscriber,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    filter::filter_fn,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

use crate::{call::Call, facts::Facts};

/// The target of our own events, which tell of calls that are recorded already.
const TELEMETRY_TARGET: &str = "triscope::telemetry";

/// A layer that records the calls of GenAI spans and events for the worker whose scope they are created in.
///
/// It comes with a filter that lets it see nothing else: it makes no other span or event of the program cost more.
pub fn layer<S>() -> impl Layer<S> + Send + Sync + 'static
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    Recorder.with_filter(filter_fn(is_of_interest))
}

fn is_of_interest(metadata: &Metadata<'_>) -> bool {
    let mut names = metadata.fields().iter().map(|it| it.name());
    if metadata.is_span() {
        names.any(|it| it == "gen_ai.operation.name")
    } else {
        metadata.target() != TELEMETRY_TARGET
            && (is_returned_error(metadata) || names.any(|it| it.starts_with("gen_ai.")))
    }
}

/// Whether it is the event that `#[instrument(err)]` emits.
fn is_returned_error(metadata: &Metadata<'_>) -> bool {
    let mut names = metadata.fields().iter().map(|it| it.name());
    *metadata.level() == Level::ERROR && names.next() == Some("error") && names.next().is_none()
}

/// Whether the returned error is that of the function whose span it is: what a function inside it returned may have been
/// dealt with. The attribute that makes them is in one place.
fn is_of_function(error: &Metadata<'_>, span: &Metadata<'_>) -> bool {
    error.line().is_some() && error.line() == span.line() && error.file() == span.file()
}

#[derive(Debug)]
struct Recorder;

// Fields are read before a span's data is locked, and events recorded after: both run code of others, which may well come
// back here. Because of the filter, all that `parent` and `event_span` give is a GenAI span.
impl<S> Layer<S> for Recorder
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        let Some(collector) = collector(span.parent().as_ref()) else {
            return;
        };
        let mut facts = Facts::default();
        attributes.record(&mut facts);
        let mut call = Call::new(collector, attributes.metadata());
        if call.learn(facts) {
            let_parent_give_way(&span, &call);
        }
        span.extensions_mut().insert(call);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else {
            return;
        };
        if span.extensions().get::<Call>().is_none() {
            return;
        }
        let mut facts = Facts::default();
        values.record(&mut facts);
        learn(&span, facts);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut facts = Facts::default();
        let span = context.event_span(event);
        if is_returned_error(event.metadata()) {
            if let Some(span) = span
                && is_of_function(event.metadata(), span.metadata())
            {
                event.record(&mut facts);
                learn(&span, facts);
            }
            return;
        }
        let Some(collector) = collector(span.as_ref()) else {
            return;
        };
        event.record(&mut facts);
        let around = span
            .as_ref()
            .and_then(|it| it.extensions().get::<Call>()?.operation());
        let tells_of_span = match (facts.operation, around) {
            (None, _) => true,
            (Some(own), Some(around)) => own.is_same_kind(around),
            (Some(_), None) => false,
        };
        if !tells_of_span {
            let mut call = Call::new(collector, event.metadata());
            call.learn(facts);
            call.end(None);
        } else if let Some(span) = span {
            learn(&span, facts);
        }
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        // Whoever catches the panic may close the span later.
        if std::thread::panicking()
            && let Some(span) = context.span(id)
            && let Some(call) = span.extensions_mut().get_mut::<Call>()
        {
            call.panics();
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let Some(call) = span.extensions_mut().remove::<Call>() else {
            return;
        };
        let around = span.parent().and_then(|parent| {
            let extensions = parent.extensions();
            let around = extensions.get::<Call>()?;
            let same_worker = around.worker_id() == call.worker_id();
            around.tool().filter(|_| same_worker).map(str::to_owned)
        });
        call.end(around.as_deref());
    }
}

/// Whose a span or an event is that is created now, inside `parent`.
fn collector<S>(parent: Option<&SpanRef<'_, S>>) -> Option<MetricsCollector>
where
    S: for<'span> LookupSpan<'span>,
{
    MetricsCollector::current()
        .or_else(|| Some(parent?.extensions().get::<Call>()?.collector().clone()))
}

fn learn<S>(span: &SpanRef<'_, S>, news: Facts)
where
    S: for<'span> LookupSpan<'span>,
{
    let mut extensions = span.extensions_mut();
    if let Some(call) = extensions.get_mut::<Call>()
        && call.learn(news)
    {
        let_parent_give_way(span, call);
    }
}

fn let_parent_give_way<S>(span: &SpanRef<'_, S>, call: &Call)
where
    S: for<'span> LookupSpan<'span>,
{
    if let Some(parent) = span.parent()
        && let Some(around) = parent.extensions_mut().get_mut::<Call>()
        && around.worker_id() == call.worker_id()
    {
        around.give_way();
    }
}
