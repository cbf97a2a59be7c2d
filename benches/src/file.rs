//! Getting events into the file, against `write(2)` per line: how fast, how soon, and whether all of them.

use std::{
    fs::{File, OpenOptions},
    hint::black_box,
    io::Write as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use artifact_store::{ArtifactStore, NewWorker, RecordMode, StoreOptions, WorkerWriter};
use metrics_core::{CallTime, Event, LlmCall, Phase, Usage};

use crate::rounds::{Variant, compare};

/// Events of one worker a round: few milliseconds, so that some rounds are not disturbed.
const BATCH: usize = 10_000;
const WORKERS: usize = 4;
const LONG: Duration = Duration::from_mins(1);

fn event() -> Event<'static> {
    let time = CallTime::new(
        "2025-12-15T04:08:08.123456Z".parse().expect("a timestamp"),
        Duration::from_micros(111_111),
    );
    let mut call = LlmCall::new(Phase::INITIAL, "gpt-5-mini", time);
    call.usage = Usage::new(1234, 89);
    call.into()
}

fn store(dir: &Path, recording: RecordMode) -> ArtifactStore {
    let options = StoreOptions {
        recording,
        ..StoreOptions::default()
    };
    ArtifactStore::open_with(dir, options).expect("a store")
}

fn worker(store: &ArtifactStore) -> WorkerWriter {
    store
        .create_worker(NewWorker::new("calculate 7*6"))
        .expect("a worker")
}

/// Records, and waits until all is in the file.
fn record_all(worker: &WorkerWriter, events: usize) {
    let (id, sink, event) = (worker.id(), worker.sink(), event());
    for _ in 0..events {
        sink.record(&id, black_box(&event));
    }
    sink.flush(&id).wait(LONG).expect("all is there");
}

fn append_to(path: &Path) -> File {
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .expect("a file")
}

/// What one writes first: format into a buffer, write it.
fn format_and_write(file: &mut File, events: usize) {
    let (event, mut line) = (event(), Vec::new());
    for _ in 0..events {
        line.clear();
        black_box(&event).encode(&mut line);
        line.push(b'\n');
        file.write_all(&line).expect("written");
    }
}

/// Runs `body` on a thread for each of `of`.
fn on_threads<T: Send>(of: &mut [T], body: impl Fn(&mut T) + Sync) {
    thread::scope(|scope| {
        for it in of {
            scope.spawn(|| body(it));
        }
    });
}

pub(crate) fn run() {
    let temp = tempfile::tempdir().expect("a temporary directory");
    let dir = temp.path();
    let peer_file = |n: usize| append_to(&dir.join(format!("peer{n}.jsonl")));
    let store = store(dir, RecordMode::Buffered);
    let peer = "format + write(2) a line";

    let one = worker(&store);
    let mut file = peer_file(0);
    compare(
        &format!("one worker, {BATCH} events until flushed, ns for all"),
        "at most 0.25x of format + write(2) a line",
        peer,
        vec![
            Variant::new("buffered", 1, || record_all(&one, BATCH)),
            Variant::new(peer, 1, || format_and_write(&mut file, BATCH)),
        ],
    );

    let mut workers: Vec<_> = (0..WORKERS).map(|_| worker(&store)).collect();
    let mut files: Vec<_> = (1..=WORKERS).map(peer_file).collect();
    compare(
        &format!("{WORKERS} workers on a thread each, {BATCH} events each, ns for all"),
        "at most 0.25x of format + write(2) a line",
        peer,
        vec![
            Variant::new("buffered", 1, || {
                on_threads(&mut workers, |it| record_all(it, BATCH));
            }),
            Variant::new(peer, 1, || {
                on_threads(&mut files, |it| format_and_write(it, BATCH));
            }),
        ],
    );
}

pub(crate) fn write_through() {
    /// A round shorter than a turn on the processor.
    const EVENTS: usize = 2_000;
    let temp = tempfile::tempdir().expect("a temporary directory");
    let dir = temp.path();
    let peer = "write(2) of a formatted line";
    let worker = worker(&store(dir, RecordMode::WriteThrough));
    let (id, sink, event) = (worker.id(), worker.sink(), event());
    let line = event.to_line() + "\n";
    let mut file = append_to(&dir.join("bare.jsonl"));
    compare(
        "write-through, one event",
        "at most 1.2x of a bare write(2)",
        peer,
        vec![
            Variant::new("write-through", EVENTS, || {
                sink.record(&id, black_box(&event));
            }),
            Variant::new(peer, EVENTS, || {
                file.write_all(black_box(line.as_bytes())).expect("written");
            }),
        ],
    );
    sink.flush(&id).wait(LONG).expect("all is there");
}

/// From the call to the file, when nothing else happens.
pub(crate) fn delay() {
    const EVENTS: usize = 2_000;
    let temp = tempfile::tempdir().expect("a temporary directory");
    let dir = temp.path();
    let worker = worker(&store(dir, RecordMode::Buffered));
    let (id, sink, event) = (worker.id(), worker.sink(), event());
    let file = File::open(worker.dir().join("metrics.jsonl")).expect("it is there");
    let len = || file.metadata().expect("its length").len();
    let mut delays: Vec<_> = (0..EVENTS)
        .map(|n| {
            // Not in step with anything that ticks.
            thread::sleep(Duration::from_micros(500 + (n as u64 * 37) % 1000));
            let before = len();
            let called = Instant::now();
            sink.record(&id, &event);
            while len() == before {
                assert!(called.elapsed() < LONG, "it never came");
            }
            called.elapsed()
        })
        .collect();
    delays.sort();
    println!("\ndelay from call to file when idle, {EVENTS} events\n  target: p99 below 5 ms");
    println!(
        "  p50 {:?}, p99 {:?}, max {:?}",
        delays[EVENTS / 2],
        delays[EVENTS * 99 / 100],
        delays[EVENTS - 1]
    );
}

/// A million events a second for ten seconds, to one worker.
pub(crate) fn sustained() {
    const SECONDS: u32 = 10;
    const A_SECOND: u32 = 1_000_000;
    const A_TICK: u32 = 1_000;
    println!("\n{A_SECOND} events a second for {SECONDS} s\n  target: none lost");
    for place in ["/dev/shm", "."] {
        let temp = tempfile::Builder::new()
            .prefix(".triscope-bench")
            .tempdir_in(place);
        let Ok(temp) = temp else {
            continue;
        };
        let worker = worker(&store(temp.path(), RecordMode::Buffered));
        let (id, sink, event) = (worker.id(), worker.sink(), event());
        let started = Instant::now();
        for tick in 0..SECONDS * A_SECOND / A_TICK {
            for _ in 0..A_TICK {
                sink.record(&id, black_box(&event));
            }
            let due = Duration::from_secs(1) * (tick + 1) / (A_SECOND / A_TICK);
            thread::sleep(due.saturating_sub(started.elapsed()));
        }
        let recorded = started.elapsed();
        let flushed = sink.flush(&id).wait(LONG);
        let counts = worker.event_counts();
        println!(
            "  in {place}: {:.0} events/s, {:.3} s until flushed, {} recorded, {} lost{}",
            f64::from(SECONDS * A_SECOND) / recorded.as_secs_f64(),
            started.elapsed().as_secs_f64(),
            counts.recorded,
            counts.lost,
            flushed
                .err()
                .map(|it| format!(": {it}"))
                .unwrap_or_default(),
        );
    }
}
