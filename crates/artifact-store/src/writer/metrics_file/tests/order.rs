//! All of it, in order, in few writes and few open files.

use std::{sync::Arc, thread, time::Duration};

use metrics_core::EventSink as _;

use super::{LONG, ROOMY, metrics_file, numbers, record, tools, tools_of, writer};
use crate::{
    disk::{
        SystemDisk,
        fake::{fake_disk, gate},
    },
    writer::{Budget, OPEN_FILES},
};

#[test]
fn each_worker_has_all_of_its_events_in_each_threads_order() {
    const WORKERS: usize = 40;
    const THREADS: usize = 8;
    const EVENTS: usize = 60;
    let dir = tempfile::tempdir().unwrap();
    let budget = Budget::new(ROOMY);
    let writer = writer(SystemDisk, &budget);
    let files: Vec<_> = (0..WORKERS)
        .map(|it| metrics_file(&writer, dir.path().join(format!("{it}.jsonl"))))
        .collect();
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let files = &files;
            scope.spawn(move || {
                for n in 0..EVENTS {
                    for (worker, file) in files.iter().enumerate() {
                        record(file, &format!("{worker} {thread} {n}"));
                    }
                }
            });
        }
    });
    for (worker, file) in files.iter().enumerate() {
        file.flush(&file.worker).wait(LONG).unwrap();
        let content = std::fs::read(dir.path().join(format!("{worker}.jsonl"))).unwrap();
        let tools = tools(&content);
        assert_eq!(tools.len(), THREADS * EVENTS);
        for thread in 0..THREADS {
            let prefix = format!("{worker} {thread} ");
            let of_thread: Vec<_> = tools
                .iter()
                .filter_map(|it| it.strip_prefix(&prefix))
                .collect();
            assert_eq!(of_thread, numbers(0..EVENTS));
        }
    }
    assert_eq!(budget.used(), 0);
}

#[test]
fn flush_is_a_barrier() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    let writer = writer(SystemDisk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, &path);
    thread::scope(|scope| {
        for thread in 0..4 {
            let (file, path) = (&file, &path);
            scope.spawn(move || {
                for round in 0..100 {
                    record(file, &format!("{thread} {round}"));
                    file.flush(&file.worker).wait(LONG).unwrap();
                    // Another thread's line may be on its way into the file just now.
                    let content = std::fs::read(path).unwrap();
                    let whole = memchr::memrchr(b'\n', &content).unwrap() + 1;
                    assert!(tools(&content[..whole]).contains(&format!("{thread} {round}")));
                }
            });
        }
    });
}

#[tokio::test]
async fn flush_can_be_awaited() {
    let (disk, state, _) = fake_disk(|_, _, bytes| Ok(bytes.len()));
    let writer = writer(disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    for n in 0..100 {
        record(&file, &n.to_string());
        file.flush(&file.worker).await.unwrap();
        assert_eq!(tools_of(&state, "f").len(), n + 1);
    }
}

#[test]
fn one_write_takes_all_that_waits() {
    let (gate, keeper) = gate();
    let mut sizes = Vec::new();
    let (report, reported) = std::sync::mpsc::channel();
    let (disk, state, _) = fake_disk(move |_, number, bytes| {
        sizes.push(memchr::memchr_iter(b'\n', bytes).count());
        report.send(sizes.clone()).unwrap();
        if number == 0 {
            gate.enter();
        }
        Ok(bytes.len())
    });
    let writer = writer(disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    record(&file, "0");
    keeper.wait_until_reached();
    for n in 1..400 {
        record(&file, &n.to_string());
    }
    let flush = file.flush(&file.worker);
    keeper.let_one_through();
    flush.wait(LONG).unwrap();
    assert_eq!(reported.try_iter().last(), Some(vec![1, 399]));
    assert_eq!(tools_of(&state, "f"), numbers(0..400));
}

#[test]
fn a_flush_waits_for_what_came_while_the_disk_was_writing() {
    let (gate, keeper) = gate();
    let (disk, state, _) = fake_disk(move |_, _, bytes| {
        gate.enter();
        Ok(bytes.len())
    });
    let writer = writer(disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    record(&file, "0");
    keeper.wait_until_reached();
    let early = file.flush(&file.worker);
    record(&file, "1");
    let late = file.flush(&file.worker);
    keeper.let_one_through();
    keeper.wait_until_reached();
    assert_eq!(tools_of(&state, "f"), ["0"]);
    let late = late.wait(Duration::from_millis(1));
    assert!(late.is_err(), "the second event is not there yet");
    keeper.let_one_through();
    early.wait(LONG).unwrap();
    file.flush(&file.worker).wait(LONG).unwrap();
    assert_eq!(tools_of(&state, "f"), ["0", "1"]);
}

#[test]
fn a_thousand_workers_need_few_open_files() {
    let (disk, state, ended) = fake_disk(|_, _, bytes| Ok(bytes.len()));
    let budget = Budget::new(ROOMY);
    let writer = writer(disk, &budget);
    let files: Vec<_> = (0..1000)
        .map(|it| metrics_file(&writer, it.to_string()))
        .collect();
    for round in 0..3 {
        for file in &files {
            record(file, &round.to_string());
        }
        for file in &files {
            file.flush(&file.worker).wait(LONG).unwrap();
        }
    }
    // One is open already when the one for it is closed.
    let most_open = state.most_open();
    assert!(
        (OPEN_FILES..=OPEN_FILES + 1).contains(&most_open),
        "{most_open}"
    );
    for it in 0..1000 {
        assert_eq!(tools_of(&state, it.to_string()), numbers(0..3));
    }
    drop((writer, files));
    ended.wait();
    assert_eq!(state.n_open(), 0);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_file_that_is_closed_and_opened_over_and_over_leaks_no_handle() {
    let (disk, state, ended) = fake_disk(|_, _, bytes| Ok(bytes.len()));
    let writer = writer(disk, &Budget::new(ROOMY));
    let files: Vec<_> = (0..10)
        .map(|it| metrics_file(&writer, it.to_string()))
        .collect();
    for _ in 0..50 {
        for file in &files {
            record(file, "x");
            file.close(LONG);
        }
    }
    assert!(state.most_open() <= 10, "{}", state.most_open());
    drop((writer, files));
    ended.wait();
    assert_eq!(state.n_open(), 0);
}

#[test]
fn the_thread_ends_when_all_users_are_gone() {
    let (disk, state, ended) = fake_disk(|_, _, bytes| Ok(bytes.len()));
    let writer = writer(disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    let sink: Arc<dyn metrics_core::EventSink> = file;
    drop(writer);
    sink.record(&"w".into(), &super::event("0"));
    sink.flush(&"w".into()).wait(LONG).unwrap();
    assert!(!ended.is_now(), "a sink still needs it");
    sink.record(&"w".into(), &super::event("1"));
    drop(sink); // What was recorded is still written.
    ended.wait();
    assert_eq!(tools_of(&state, "f"), ["0", "1"]);
}
