//! Nanoseconds a line, against the stock `fmt` layer: `cargo bench -p log-format --features fmt`.
//!
//! Best of interleaved rounds of the same nine-field event. The time is that of the thread that logs.
#![expect(clippy::print_stdout, reason = "a bench reports on the terminal")]

use std::cell::RefCell;
use std::fs::File;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use log_format::{FileSink, LogFormat, LogLayer, LogWriter};
use tracing::dispatcher::{self, Dispatch};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{Layer, Registry, fmt};

const EVENTS: u32 = 2_000;
const ROUNDS: usize = 300;

fn main() {
    let dir = tempfile::tempdir().expect("a folder");
    let open = |name| FileSink::open(dir.path().join(name)).expect("a file");
    let writer = LogWriter::spawn(open("ours.log"), 1 << 30).expect("a thread");
    let stock_file = File::create(dir.path().join("stock.log")).expect("a file");

    let stock = || fmt::layer().with_ansi(false);
    let variants = [
        ("LogFormat, memory", dispatch(ToBuffer(LogFormat::new()))),
        (
            "fmt layer with LogFormat, memory",
            dispatch(stock().event_format(LogFormat::new()).with_writer(io::sink)),
        ),
        ("fmt layer, memory", dispatch(stock().with_writer(io::sink))),
        ("LogLayer, file", dispatch(LogLayer::new(writer.clone()))),
        ("fmt layer, file", dispatch(stock().with_writer(stock_file))),
    ];
    let mut best = [f64::INFINITY; 5];
    for _ in 0..ROUNDS {
        for (best, (_, dispatch)) in best.iter_mut().zip(&variants) {
            dispatcher::with_default(dispatch, || *best = best.min(round()));
            writer
                .flush(Duration::from_mins(1))
                .expect("a disk that works");
        }
    }
    for ((name, _), ns) in variants.iter().zip(best) {
        println!("{name:34} {ns:7.1} ns/event");
    }
    println!("memory: {:.2}x of the fmt layer", best[0] / best[2]);
    println!("file: {:.2}x of the fmt layer", best[3] / best[4]);
}

fn dispatch(layer: impl Layer<Registry> + Send + Sync) -> Dispatch {
    Dispatch::new(Registry::default().with(layer))
}

/// One round, in nanoseconds an event.
fn round() -> f64 {
    let begin = Instant::now();
    for it in 0..EVENTS {
        emit(black_box(1_765_768_773_000_000 + i64::from(it)));
    }
    begin.elapsed().as_secs_f64() * 1e9 / f64::from(EVENTS)
}

fn emit(end_unix_us: i64) {
    tracing::info!(
        target: "triscope::telemetry",
        end_unix_us,
        phase = black_box("tool_decision"),
        duration_ms = black_box(19_500_u64),
        worker_id = black_box("2025-12-15T03-19-12_backup"),
        model = black_box("gpt-5-mini"),
        prompt_tokens = black_box(1234_u64),
        completion_tokens = black_box(89_u64),
        total_tokens = black_box(1323_u64),
        event = "llm_call_complete",
        "llm_call_complete"
    );
}

thread_local!(static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) });

/// Formats into one buffer again and again.
struct ToBuffer(LogFormat);

impl<S: Subscriber> Layer<S> for ToBuffer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        LINE.with_borrow_mut(|line| {
            line.clear();
            self.0.write_event(event, line);
            black_box(line);
        });
    }
}
