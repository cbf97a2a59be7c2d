//! A process killed, and a power cut, at every operation of a worker's life in turn.
//!
//! The disk is one in memory that keeps apart what was written and what was waited for. Its model of a power cut: the
//! content of a file is what was synced; names survive if their directory was synced, or all of them do.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use metrics_core::EventSink;
use rustix::io::Errno;

use super::support::{LONG, event};
use crate::{
    ArtifactStore, Metadata, NewWorker, RecordMode, Status, StoreOptions, WorkerWriter,
    disk::fake::{Fate, disk_with, faulty_disk},
    writer::{Budget, MetricsFile, Writer},
};

const EVENTS: u64 = 6;
const RESULT: &str = "The result is 42.";

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What the worker was told before the end.
#[derive(Debug, Default)]
struct Told {
    created: Option<PathBuf>,
    events: u64,
    result: bool,
    finished: bool,
}

/// A worker's whole life; ends early once the process is `dead`.
fn live(store: &ArtifactStore, mode: RecordMode, dead: &AtomicBool) -> Told {
    let mut told = Told::default();
    let Ok(worker) = store.create_worker(NewWorker::new("calculate 7*6")) else {
        return told;
    };
    if !dead.load(Ordering::SeqCst) {
        told.created = Some(worker.dir().to_owned());
        if run(&worker, mode, dead, &mut told).is_err() {
            assert!(dead.load(Ordering::SeqCst), "{told:?}");
        }
    }
    // So that its end waits for nothing: there is something to give up.
    worker.sink().record(&worker.id(), &event("too late"));
    worker.finish_metrics(Duration::ZERO);
    told
}

struct Dead;

fn run(
    worker: &WorkerWriter,
    mode: RecordMode,
    dead: &AtomicBool,
    told: &mut Told,
) -> Result<(), Dead> {
    let (id, sink) = (worker.id(), worker.sink());
    for n in 1..=EVENTS {
        sink.record(&id, &event(&n.to_string()));
        if mode == RecordMode::Buffered && !n.is_multiple_of(2) {
            continue;
        }
        flush(&*sink, worker, dead)?;
        told.events = n;
    }
    worker.append_message(&"a message").map_err(|_| Dead)?;
    worker
        .save_tool_output(1, "t", "output")
        .map_err(|_| Dead)?;
    worker.write_result(RESULT).map_err(|_| Dead)?;
    told.result = true;
    let finished = worker.update(|it| {
        it.status = Status::Success;
        it.events = Some(EVENTS);
    });
    finished.map_err(|_| Dead)?;
    told.finished = true;
    Ok(())
}

fn flush(sink: &dyn EventSink, worker: &WorkerWriter, dead: &AtomicBool) -> Result<(), Dead> {
    let start = Instant::now();
    loop {
        match sink.flush(&worker.id()).wait(Duration::from_millis(5)) {
            Ok(()) => return Ok(()),
            Err(_) if dead.load(Ordering::SeqCst) => return Err(Dead),
            Err(error) => assert!(start.elapsed() < LONG, "{error}"),
        }
    }
}

/// Lets a worker live until the `end`th operation, which has that fate. `None` if it comes to its end before.
fn until(end: usize, fate: Fate, mode: RecordMode) -> Option<(Told, Files, [Files; 2])> {
    let dead = Arc::new(AtomicBool::new(false));
    let is_dead = Arc::clone(&dead);
    let mut n_ops = 0;
    let (disk, state, _) = faulty_disk(move |_| {
        n_ops += 1;
        if n_ops < end {
            return Fate::Done;
        }
        let was_dead = is_dead.swap(true, Ordering::SeqCst);
        if was_dead {
            Fate::Fails(Errno::IO)
        } else {
            fate
        }
    });
    let real = tempfile::tempdir().unwrap();
    let options = StoreOptions {
        recording: mode,
        ..StoreOptions::default()
    };
    let told = match ArtifactStore::open_on(Arc::new(disk), real.path().to_owned(), options) {
        Ok(store) => live(&store, mode, &dead),
        Err(_) => Told::default(),
    };
    let is_dead = dead.load(Ordering::SeqCst);
    is_dead.then(|| (told, state.after_kill(), state.after_power_cut()))
}

/// Ends a worker at each of its operations in turn, in each way.
fn at_every_operation(mode: RecordMode, check_all: impl Fn(&Told, &Files, &[Files; 2], usize)) {
    for fate in [Fate::Fails(Errno::IO), Fate::Half, Fate::DoneUnseen] {
        let mut end = 1;
        while let Some((told, killed, cut)) = until(end, fate, mode) {
            check_all(&told, &killed, &cut, end);
            end += 1;
        }
        // In other orders of the threads there are a few more or less.
        assert!(end > 20, "{mode}: {end}");
    }
}

#[test]
fn a_process_killed_at_any_operation_leaves_what_it_told_of() {
    for mode in RecordMode::ALL {
        at_every_operation(mode, |told, killed, _, end| check(told, killed, mode, end));
    }
}

#[test]
fn a_power_cut_at_any_operation_leaves_what_a_durable_store_told_of() {
    let mode = RecordMode::Fsync;
    at_every_operation(mode, |told, _, cut, end| {
        for files in cut {
            check(told, files, mode, end);
        }
    });
}

/// What must hold of the files that are left.
fn check(told: &Told, files: &Files, mode: RecordMode, end: usize) {
    let context = format!("{mode}, operation {end}, {told:?}, {files:#?}");
    let Some(dir) = &told.created else {
        return;
    };
    let file = |name: &str| files.get(&dir.join(name)).cloned();
    let metadata = file("metadata.json").unwrap_or_else(|| panic!("{context}"));
    let metadata: Metadata =
        serde_json::from_slice(&metadata).unwrap_or_else(|_| panic!("{context}"));
    let metrics = file("metrics.jsonl").unwrap_or_else(|| panic!("{context}"));
    let stored = check_events(&metrics, &context);
    assert!(stored >= told.events, "{context}");
    let result = file("result.txt");
    if let Some(result) = &result {
        assert_eq!(result, RESULT.as_bytes(), "{context}");
    }
    assert!(result.is_some() || !told.result, "{context}");
    if metadata.status == Status::Success {
        assert!(result.is_some(), "{context}");
        assert_eq!(stored, EVENTS, "{context}");
    } else {
        assert!(!told.finished, "{context}");
    }
    goes_on(files, dir, stored, &context);
}

/// That the file begins with the events in order, and at most a half line after them. Gives their number.
fn check_events(metrics: &[u8], context: &str) -> u64 {
    let mut stored = 0;
    for line in metrics.split_inclusive(|it| *it == b'\n') {
        if line.ends_with(b"\n") {
            let json: serde_json::Value = serde_json::from_slice(line).unwrap();
            if json["tool"] != "too late" {
                stored += 1;
                assert_eq!(json["tool"], stored.to_string(), "{context}");
            }
        }
    }
    stored
}

/// That the next process finds whole lines, and adds its own.
fn goes_on(files: &Files, dir: &Path, stored: u64, context: &str) {
    let (disk, state, _) = disk_with(files);
    let path = dir.join("metrics.jsonl");
    let budget = Budget::of_process();
    let writer = Writer::start(Arc::new(disk), budget, RecordMode::Buffered).unwrap();
    let file = MetricsFile::new("w".into(), path.clone(), writer);
    file.record(&"w".into(), &event("next"));
    assert_eq!(file.close(LONG).0.lost, 0, "{context}");
    let content = state.content(&path);
    assert!(content.ends_with(b"\n"), "{context}");
    let n_lines = content.split(|it| *it == b'\n').count() as u64 - 1;
    assert_eq!(n_objects(&content), n_lines, "{context}");
    assert!(n_lines > stored, "{context}");
}

fn n_objects(content: &[u8]) -> u64 {
    let lines = content.split_inclusive(|it| *it == b'\n');
    lines
        .filter(|it| serde_json::from_slice::<serde_json::Value>(it).is_ok())
        .count() as u64
}
