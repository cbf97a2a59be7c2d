//! Recording one event, as the caller sees it, against one `tracing` event through the `fmt` layer.

use std::{hint::black_box, sync::Arc, time::Duration};

use artifact_store::{ArtifactStore, NewWorker};
use log_format::{Log, LogBuilder, LogGuard};
use metrics_collector::{MetricsCollector, record_tool_call, start_llm_call};
use metrics_core::{CallTime, Phase, Timestamp, ToolCall, Usage};
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{
    peer::{self, Nowhere, PEER},
    rounds::{Variant, compare},
};

const EVENTS: usize = 2_000;
const LONG: Duration = Duration::from_mins(1);

fn record_one() {
    let mut call = start_llm_call("gpt-5-mini", Phase::INITIAL);
    call.usage(Usage::new(1234, 89));
    call.succeed();
}

fn build(builder: LogBuilder) -> (Dispatch, LogGuard) {
    let Log {
        layer,
        filter,
        guard,
    } = builder.filter("info").build().expect("a log");
    let subscriber = tracing_subscriber::registry().with(filter).with(layer);
    (subscriber.into(), guard)
}

fn round(dispatch: &Dispatch, scope: &MetricsCollector) {
    dispatcher::with_default(dispatch, || {
        scope.scope_sync(|| {
            for _ in 0..EVENTS {
                record_one();
            }
        });
    });
}

pub(crate) fn run() {
    let data_dir = tempfile::tempdir().expect("a temporary directory");
    let store = ArtifactStore::open(data_dir.path()).expect("a store");
    let worker = store
        .create_worker(NewWorker::new("calculate 7*6"))
        .expect("a worker");
    let collector = MetricsCollector::new(worker.id(), worker.sink());
    let (nowhere, nowhere_guard) = build(log_format::to_sink(Nowhere));
    let (file, file_guard) = build(log_format::to_file(data_dir.path().join("triscope.log")));
    let fmt = peer::fmt_layer();
    let none = Dispatch::none();
    let discarded = MetricsCollector::new("w", Arc::new(Discard));
    let settle = |guard: &LogGuard| {
        collector.flush_wait(LONG).expect("a disk that works");
        guard.flush(LONG).expect("a sink that works");
    };
    compare(
        "record one llm_call in a scope (clocks included)",
        "both tiers at most 0.4x the fmt layer, aiming at 0.3x; no allocation",
        Some(PEER),
        vec![
            Variant::whole_round("tiers 2 and 3: store, log to nowhere", EVENTS, || {
                round(&nowhere, &collector);
            })
            .settle(|| settle(&nowhere_guard)),
            Variant::whole_round("tiers 2 and 3: store, log to a file", EVENTS, || {
                round(&file, &collector);
            })
            .settle(|| settle(&file_guard)),
            Variant::whole_round("tier 2 alone: store", EVENTS, || round(&none, &collector))
                .settle(|| settle(&nowhere_guard)),
            Variant::whole_round("tier 3 alone: log to nowhere", EVENTS, || {
                round(&nowhere, &discarded);
            })
            .settle(|| settle(&nowhere_guard)),
            Variant::whole_round("neither: clocks, totals, slot", EVENTS, || {
                round(&none, &discarded);
            }),
            Variant::whole_round(PEER, EVENTS, || {
                dispatcher::with_default(&fmt, || (0..EVENTS).for_each(|_| peer::event()));
            }),
        ],
    );
    compare(
        "record one call outside any scope",
        "under 3 ns",
        None,
        vec![
            Variant::new("start_llm_call .. succeed", 20_000, || {
                black_box(record_one)();
            }),
            Variant::new("record_tool_call", 20_000, || {
                let time = CallTime::new(Timestamp::UNIX_EPOCH, Duration::ZERO);
                record_tool_call(ToolCall::new(black_box("t"), time));
            }),
        ],
    );
    let counts = worker.event_counts();
    println!(
        "  events recorded {}, lost {}; log lines dropped {}",
        counts.recorded,
        counts.lost,
        nowhere_guard.dropped() + file_guard.dropped()
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
