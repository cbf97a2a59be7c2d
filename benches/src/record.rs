//! Recording one event, as the caller sees it, against one `tracing` event through the `fmt` layer.

use std::{hint::black_box, io, sync::Arc};

use artifact_store::{ArtifactStore, NewWorker};
use log_format::LineSink;
use metrics_collector::{MetricsCollector, start_llm_call};
use metrics_core::{Phase, Usage};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::rounds::{Variant, compare};

const BATCH: usize = 5_000;
const PEER: &str = "tracing event, fmt layer, sink";

/// Takes log lines and keeps none, as the peer's `io::sink` does.
struct Nowhere;

impl LineSink for Nowhere {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
}

fn record_one() {
    let mut call = start_llm_call("gpt-5-mini", Phase::INITIAL);
    call.usage(Usage::new(1234, 89));
    call.succeed();
}

fn peer_event(fmt: &tracing::Dispatch) {
    tracing::dispatcher::with_default(fmt, || {
        for _ in 0..BATCH {
            tracing::info!(
                phase = "initial",
                duration_ms = 111_u64,
                worker_id = "2025-12-15T04-08-08_calculate-7-6",
                model = "gpt-5-mini",
                prompt_tokens = 1234_u64,
                completion_tokens = 89_u64,
                total_tokens = 1323_u64,
                "llm_call_complete"
            );
        }
    });
}

pub(crate) fn run() {
    let data_dir = tempfile::tempdir().expect("a temporary directory");
    let store = ArtifactStore::open(data_dir.path()).expect("a store");
    let worker = store
        .create_worker(NewWorker::new("calculate 7*6"))
        .expect("a worker");
    let collector = MetricsCollector::new(worker.id(), worker.sink());
    let log = log_format::to_sink(Nowhere)
        .filter("info")
        .build()
        .expect("a log");
    let ours: tracing::Dispatch = tracing_subscriber::registry()
        .with(log.filter)
        .with(log.layer)
        .into();
    let fmt: tracing::Dispatch = tracing_subscriber::fmt()
        .with_writer(io::sink)
        .with_ansi(false)
        .finish()
        .into();
    let none = tracing::Dispatch::none();
    let batch = |dispatch: &tracing::Dispatch, scope: &MetricsCollector| {
        tracing::dispatcher::with_default(dispatch, || {
            scope.scope_sync(|| {
                for _ in 0..BATCH {
                    record_one();
                }
            });
        });
    };
    let discarded = MetricsCollector::new("w", Arc::new(Discard));
    compare(
        &format!("record one llm_call, per {BATCH} (clocks included)"),
        "both tiers at most 0.4x the fmt layer, aiming at 0.3x; no allocation",
        PEER,
        vec![
            Variant::new("tiers 2 and 3: store, log to nowhere", 1, || {
                batch(&ours, &collector);
            }),
            Variant::new("tier 2 alone: store", 1, || batch(&none, &collector)),
            Variant::new("tier 3 alone: log to nowhere", 1, || {
                batch(&ours, &discarded);
            }),
            Variant::new("neither: clocks, totals, slot", 1, || {
                batch(&none, &discarded);
            }),
            Variant::new(PEER, 1, || peer_event(&fmt)),
        ],
    );
    compare(
        "record one call outside any scope",
        "under 3 ns",
        PEER,
        vec![
            Variant::new("start_llm_call .. succeed", 200_000, || {
                black_box(record_one)();
            }),
            Variant::new("record_tool_call", 200_000, || {
                metrics_collector::record_tool_call(black_box(metrics_core::ToolCall::new(
                    "t",
                    metrics_core::CallTime::new(
                        metrics_core::Timestamp::UNIX_EPOCH,
                        std::time::Duration::ZERO,
                    ),
                )));
            }),
        ],
    );
    let counts = worker.event_counts();
    println!(
        "  events recorded {}, lost {}",
        counts.recorded, counts.lost
    );
    assert_eq!(
        counts.lost, 0,
        "the bound was reached: the figures would be wrong"
    );
}

/// A sink that costs nothing.
#[derive(Debug)]
struct Discard;

impl metrics_core::EventSink for Discard {
    fn record(&self, _: &metrics_core::WorkerId, event: &metrics_core::Event<'_>) {
        black_box(event);
    }

    fn flush(&self, _: &metrics_core::WorkerId) -> metrics_core::Flush {
        metrics_core::Flush::ready(Ok(()))
    }
}
