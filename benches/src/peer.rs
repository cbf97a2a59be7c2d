//! What the log is measured against: one `tracing` event with the same fields through the stock `fmt` layer.

use std::io;

use log_format::LineSink;

/// The peer's name in the tables.
pub(crate) const PEER: &str = "tracing event, fmt layer, sink";

/// The stock layer, writing to nowhere.
pub(crate) fn fmt_layer() -> tracing::Dispatch {
    tracing_subscriber::fmt()
        .with_writer(io::sink)
        .with_ansi(false)
        .finish()
        .into()
}

/// One event with the fields that our line of a model call has.
pub(crate) fn event() {
    tracing::info!(
        phase = "initial",
        duration_ms = 111_u64,
        worker_id = "2025-12-15T04-08-08_calculate-7-6",
        model = "gpt-5-mini",
        prompt_tokens = 1234_u64,
        completion_tokens = 89_u64,
        total_tokens = 1323_u64,
        event = "llm_call_complete",
        "llm_call_complete"
    );
}

/// Takes log lines and keeps none, as the peer's `io::sink` does.
pub(crate) struct Nowhere;

impl LineSink for Nowhere {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
}
