//! One line of Tier 3 through the whole subscriber, as `install` sets it up, against the stock `fmt` layer.

use std::{hint::black_box, time::Duration};

use log_format::{Log, LogBuilder};
use tracing::{Dispatch, dispatcher};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::{
    peer::{self, Nowhere, PEER},
    rounds::{Variant, compare},
};

const EVENTS: usize = 2_000;

fn emit(end_unix_us: i64) {
    tracing::info!(
        target: "triscope::telemetry",
        message = "llm_call_complete",
        end_unix_us,
        phase = "initial",
        duration_ms = 111_u64,
        worker_id = "2025-12-15T04-08-08_calculate-7-6",
        model = "gpt-5-mini",
        prompt_tokens = 1234_u64,
        completion_tokens = 89_u64,
        total_tokens = 1323_u64,
        event = "llm_call_complete",
    );
}

fn round(dispatch: &Dispatch) {
    dispatcher::with_default(dispatch, || {
        for end_unix_us in (1_765_768_773_000_000..).take(EVENTS) {
            emit(black_box(end_unix_us));
        }
    });
}

fn peer_round(dispatch: &Dispatch) {
    dispatcher::with_default(dispatch, || {
        for _ in 0..EVENTS {
            peer::event();
        }
    });
}

fn build(builder: LogBuilder) -> (Dispatch, log_format::LogGuard) {
    let Log {
        layer,
        filter,
        guard,
    } = builder.filter("info").build().expect("a log");
    let subscriber = tracing_subscriber::registry().with(filter).with(layer);
    (subscriber.into(), guard)
}

pub(crate) fn run() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (nowhere, nowhere_guard) = build(log_format::to_sink(Nowhere));
    let (file, file_guard) = build(log_format::to_file(dir.path().join("triscope.log")));
    let fmt = peer::fmt_layer();
    let flush = |guard: &log_format::LogGuard| {
        guard
            .flush(Duration::from_mins(1))
            .expect("a sink that works");
    };
    compare(
        "one line of Tier 3: registry, filter and layer",
        "at most 0.3x the fmt layer, no allocation",
        Some(PEER),
        vec![
            Variant::whole_round("log to nowhere", EVENTS, || round(&nowhere))
                .settle(|| flush(&nowhere_guard)),
            Variant::whole_round("log to a file", EVENTS, || round(&file))
                .settle(|| flush(&file_guard)),
            Variant::whole_round(PEER, EVENTS, || peer_round(&fmt)),
        ],
    );
    println!(
        "  lines dropped: {}",
        nowhere_guard.dropped() + file_guard.dropped()
    );
}
