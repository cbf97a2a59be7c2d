//! What a worker's calls cost, added up as they end: each by the prices of its own moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use artifact_store::WorkerUsage;
use metrics_collector::Totals;
use metrics_core::{Event, EventSink, Flush, WorkerId};
use model_prices::{CostSum, PriceTable, Usd};

/// A sink that looks at the events on their way to another one. A model call takes a look at a map more; a tool call nothing.
#[derive(Debug)]
pub(crate) struct Tally {
    sink: Arc<dyn EventSink>,
    prices: PriceTable,
    cost: Mutex<CostSum>,
}

impl Tally {
    pub(crate) fn new(sink: Arc<dyn EventSink>, prices: PriceTable) -> Self {
        Self {
            sink,
            prices,
            cost: Mutex::default(),
        }
    }

    /// What the calls so far cost.
    pub(crate) fn cost(&self) -> CostSum {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, CostSum> {
        self.cost.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Tally {
    fn record(&self, worker: &WorkerId, event: &Event<'_>) {
        // The first look at a provider reads its prices; the event does not wait for that.
        self.sink.record(worker, event);
        if let Event::LlmCall(call) = event {
            self.lock().add_call(&self.prices, call);
        }
    }

    fn flush(&self, worker: &WorkerId) -> Flush {
        self.sink.flush(worker)
    }
}

/// What stands in the metadata.
pub(crate) fn usage(totals: &Totals, cost: &CostSum) -> WorkerUsage {
    let Totals {
        llm_calls,
        llm_failures,
        tool_calls,
        tool_failures,
        usage,
        ..
    } = *totals;
    WorkerUsage {
        llm_calls,
        llm_failures,
        tool_calls,
        tool_failures,
        prompt_tokens: usage.prompt_tokens,
        completion_tokens: usage.completion_tokens,
        total_tokens: usage.total_tokens,
        cached_tokens: usage.cached_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        cost_usd: cost.known().map(Usd::to_decimal),
        cost_unknown: cost
            .unknown()
            .map(|(model, n)| (model.to_owned(), n))
            .collect(),
    }
}
