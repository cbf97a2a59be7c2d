//! Callers that wait for the kernel or the disk.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use metrics_core::{EventSink as _, SinkError};
use rustix::io::Errno;

use super::{LONG, ROOMY, line_len, metrics_file, numbers, record, tools_of, writer_in};
use crate::{
    disk::{
        SystemDisk,
        fake::{Fate, Op, fake_disk, faulty_disk},
    },
    writer::{
        Budget, MetricsFile,
        RecordMode::{self, Fsync, WriteThrough},
    },
};

const WAITING: [RecordMode; 2] = [WriteThrough, Fsync];

#[test]
fn an_event_is_in_the_file_when_record_returns() {
    for mode in WAITING {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let budget = Budget::new(ROOMY);
        let writer = writer_in(mode, SystemDisk, &budget);
        let file = metrics_file(&writer, &path);
        for n in 0..100 {
            record(&file, &n.to_string());
            let tools = super::tools(&std::fs::read(&path).unwrap());
            assert_eq!(tools, numbers(0..n + 1), "{mode}");
        }
        assert_eq!(budget.used(), 0, "{mode}");
        assert_eq!(file.close(LONG).0.lost, 0, "{mode}");
    }
}

#[test]
fn an_event_is_on_the_disk_when_record_returns() {
    let (disk, state, _) = faulty_disk(|_| Fate::Done);
    let writer = writer_in(Fsync, disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "dir/f");
    for n in 0..10 {
        record(&file, &n.to_string());
        for survivors in state.after_power_cut() {
            let content = &survivors[std::path::Path::new("dir/f")];
            assert_eq!(super::tools(content), numbers(0..n + 1));
        }
    }
}

/// Waits until so many events have come, some of whose callers are still held up.
fn wait_for_recorded(file: &MetricsFile, recorded: u64) {
    let start = Instant::now();
    while file.counts().recorded < recorded {
        assert!(start.elapsed() < LONG);
        thread::yield_now();
    }
}

#[test]
fn one_write_and_one_sync_serve_all_who_wait_for_the_file() {
    for mode in WAITING {
        let (report, asked) = std::sync::mpsc::channel();
        let (disk, state, _) = faulty_disk(move |op| {
            match op {
                Op::Write(_) => report.send("write").unwrap(),
                Op::Sync(_) => report.send("sync").unwrap(),
                _ => {}
            }
            Fate::Done
        });
        let keeper = state.hang("f");
        let writer = writer_in(mode, disk, &Budget::new(ROOMY));
        let file = metrics_file(&writer, "f");
        thread::scope(|scope| {
            scope.spawn(|| record(&file, "0"));
            keeper.wait_until_reached();
            for n in 1..8 {
                let file = &file;
                scope.spawn(move || record(file, &n.to_string()));
            }
            wait_for_recorded(&file, 8);
            keeper.let_one_through();
        });
        let mut tools = tools_of(&state, "f");
        assert_eq!(tools[0], "0");
        tools.sort();
        assert_eq!(tools, numbers(0..8));
        let expected: &[&str] = match mode {
            Fsync => &["write", "sync", "write", "sync"],
            _ => &["write", "write"],
        };
        assert_eq!(asked.try_iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn threads_that_wait_keep_their_own_order_and_the_file_has_each_event_once() {
    for mode in WAITING {
        let (disk, state, _) = faulty_disk(|_| Fate::Done);
        let writer = writer_in(mode, disk, &Budget::new(ROOMY));
        let file = metrics_file(&writer, "f");
        thread::scope(|scope| {
            for thread in 0..4 {
                let (file, state) = (&file, &state);
                scope.spawn(move || {
                    for n in 0..50 {
                        let tool = format!("{thread} {n}");
                        record(file, &tool);
                        assert!(tools_of(state, "f").contains(&tool), "{mode}: {tool}");
                    }
                });
            }
        });
        let tools = tools_of(&state, "f");
        assert_eq!(tools.len(), 4 * 50);
        for thread in 0..4 {
            let of_thread = tools
                .iter()
                .filter_map(|it| it.strip_prefix(&format!("{thread} ")));
            assert!(of_thread.eq(numbers(0..50)), "{mode}");
        }
    }
}

#[test]
fn what_could_not_be_written_goes_before_the_next_event() {
    for mode in WAITING {
        let is_full = Arc::new(AtomicBool::new(true));
        let full = Arc::clone(&is_full);
        let (disk, state, _) = faulty_disk(move |op| match op {
            Op::Write(_) if full.load(Ordering::SeqCst) => Fate::Fails(Errno::NOSPC),
            _ => Fate::Done,
        });
        let budget = Budget::new(ROOMY);
        let writer = writer_in(mode, disk, &budget);
        let file = metrics_file(&writer, "f");
        for n in 0..5 {
            record(&file, &n.to_string());
        }
        let answer = file.flush(&file.worker).wait(Duration::from_millis(20));
        assert!(matches!(answer, Err(SinkError::Timeout(_))), "{mode}");
        is_full.store(false, Ordering::SeqCst);
        record(&file, "5");
        assert_eq!(tools_of(&state, "f"), numbers(0..6), "{mode}");
        file.flush(&file.worker).wait(LONG).unwrap();
        assert_eq!(file.close(LONG).0.lost, 0, "{mode}");
        assert_eq!(budget.used(), 0, "{mode}");
    }
}

#[test]
fn the_thread_writes_what_could_not_be_written_if_nobody_else_comes() {
    for mode in WAITING {
        let mut left = 3;
        let (disk, state, _) = faulty_disk(move |op| match op {
            Op::Write(_) if left > 0 => {
                left -= 1;
                Fate::Half
            }
            _ => Fate::Done,
        });
        let writer = writer_in(mode, disk, &Budget::new(ROOMY));
        let file = metrics_file(&writer, "f");
        record(&file, "0");
        let start = Instant::now();
        while state.content("f").len() < line_len("0") {
            assert!(start.elapsed() < LONG);
            thread::yield_now();
        }
        assert_eq!(tools_of(&state, "f"), ["0"], "{mode}");
    }
}

#[test]
fn beyond_the_bound_events_are_counted_in_each_mode() {
    for mode in WAITING {
        let (disk, state, _) = faulty_disk(|op| match op {
            Op::Write(_) => Fate::Fails(Errno::NOSPC),
            _ => Fate::Done,
        });
        let budget = Budget::new(10 * line_len("0"));
        let writer = writer_in(mode, disk, &budget);
        let file = metrics_file(&writer, "f");
        for _ in 0..15 {
            record(&file, "0");
        }
        assert_eq!(file.counts().lost, 5, "{mode}");
        let (counts, reason) = file.close(Duration::ZERO);
        assert_eq!((counts.recorded, counts.lost), (15, 15), "{mode}");
        assert_eq!(reason.as_deref(), Some("disk full"));
        assert_eq!(budget.used(), 0, "{mode}");
        assert!(state.content("f").is_empty());
    }
}

#[test]
fn what_was_written_but_not_synced_is_written_again_and_acknowledged_once_it_is() {
    for cut_fails in [false, true] {
        let failing = Arc::new(AtomicBool::new(true));
        let fails = Arc::clone(&failing);
        let (disk, state, _) = faulty_disk(move |op| match op {
            Op::Sync(_) if fails.load(Ordering::SeqCst) => Fate::Fails(Errno::IO),
            _ => Fate::Done,
        });
        state.cut_fails.store(cut_fails, Ordering::SeqCst);
        let writer = writer_in(Fsync, disk, &Budget::new(ROOMY));
        let file = metrics_file(&writer, "dir/f");
        record(&file, "0");
        record(&file, "1");
        let answer = file.flush(&file.worker).wait(Duration::from_millis(20));
        assert!(matches!(answer, Err(SinkError::Timeout(_))), "{answer:?}");
        failing.store(false, Ordering::SeqCst);
        file.flush(&file.worker).wait(LONG).unwrap();
        for survivors in state.after_power_cut() {
            let content = &survivors[std::path::Path::new("dir/f")];
            assert_eq!(super::tools(content), ["0", "1"]);
        }
        assert_eq!(file.close(LONG).0.lost, 0);
    }
}

#[test]
fn what_was_never_synced_counts_as_lost_at_the_end() {
    for cut_fails in [false, true] {
        let (disk, state, _) = faulty_disk(|op| match op {
            Op::Sync(_) => Fate::Fails(Errno::IO),
            _ => Fate::Done,
        });
        state.cut_fails.store(cut_fails, Ordering::SeqCst);
        let writer = writer_in(Fsync, disk, &Budget::new(ROOMY));
        let file = metrics_file(&writer, "dir/f");
        record(&file, "0");
        let (counts, reason) = file.close(Duration::from_millis(50));
        assert_eq!((counts.recorded, counts.lost), (1, 1));
        assert!(reason.is_some());
    }
}

#[test]
fn the_reasons_are_told_in_words() {
    for (errno, words) in [
        (Errno::NOSPC, "disk full"),
        (Errno::DQUOT, "disk full"),
        (Errno::FBIG, "file size limit reached"),
        (Errno::ACCESS, "the worker's directory cannot be written"),
        (Errno::MFILE, "Too many open files (os error 24)"),
    ] {
        for mode in RecordMode::ALL {
            let (report, tried) = std::sync::mpsc::channel();
            let (disk, _, _) = faulty_disk(move |op| match op {
                Op::Open(_) => {
                    let _ = report.send(());
                    Fate::Fails(errno)
                }
                _ => Fate::Done,
            });
            let writer = writer_in(mode, disk, &Budget::new(ROOMY));
            let file = metrics_file(&writer, "f");
            record(&file, "0");
            for _ in 0..2 {
                tried.recv_timeout(LONG).unwrap(); // At the second time the first answer is known.
            }
            let (counts, reason) = file.close(Duration::ZERO);
            assert_eq!((counts.recorded, counts.lost), (1, 1));
            assert_eq!(reason.as_deref(), Some(words), "{mode}");
        }
    }
}

#[test]
fn with_no_file_descriptors_left_events_wait_until_there_are() {
    for mode in RecordMode::ALL {
        let mut left = 4;
        let (disk, state, _) = faulty_disk(move |op| match op {
            Op::Open(_) if left > 0 => {
                left -= 1;
                Fate::Fails(Errno::MFILE)
            }
            _ => Fate::Done,
        });
        let writer = writer_in(mode, disk, &Budget::new(ROOMY));
        let file = metrics_file(&writer, "f");
        for n in 0..3 {
            record(&file, &n.to_string());
        }
        let (counts, reason) = file.close(LONG);
        assert_eq!((counts.recorded, counts.lost, reason), (3, 0, None));
        assert_eq!(tools_of(&state, "f"), numbers(0..3));
    }
}

#[test]
fn a_descriptor_that_is_needed_elsewhere_is_free_once_the_write_that_uses_it_is_over() {
    for mode in RecordMode::ALL {
        let (disk, state, _) = faulty_disk(|_| Fate::Done);
        let writer = writer_in(mode, disk, &Budget::new(ROOMY));
        let file = metrics_file(&writer, "f");
        record(&file, "0");
        file.flush(&file.worker).wait(LONG).unwrap();
        // One descriptor is all there is.
        let (report, tried) = std::sync::mpsc::channel();
        let disk = Arc::downgrade(&state);
        state.set_fault(move |op| match op {
            Op::Open(_) if disk.upgrade().is_some_and(|it| it.n_open() > 0) => {
                let _ = report.send(());
                Fate::Fails(Errno::MFILE)
            }
            _ => Fate::Done,
        });
        let write = state.hang("f");
        let other = metrics_file(&writer, "other");
        std::thread::scope(|scope| {
            scope.spawn(|| record(&file, "1"));
            write.wait_until_reached();
            scope.spawn(|| record(&other, "2"));
            for _ in 0..2 {
                tried.recv_timeout(LONG).unwrap(); // At the second time all know what the first one met.
            }
            write.let_one_through();
        });
        for file in [&other, &file] {
            assert_eq!(file.close(LONG).0.lost, 0, "{mode}");
        }
        assert_eq!(tools_of(&state, "f"), numbers(0..2));
        assert_eq!(tools_of(&state, "other"), numbers(2..3));
    }
}

#[test]
fn an_interrupted_write_goes_on_in_each_mode() {
    for mode in WAITING {
        let (disk, state, _) = fake_disk(|_, number, bytes| match number % 3 {
            0 => Err(Errno::INTR.into()),
            _ => Ok(bytes.len() / 2 + 1),
        });
        let writer = writer_in(mode, disk, &Budget::new(ROOMY));
        let file = metrics_file(&writer, "f");
        for n in 0..20 {
            record(&file, &n.to_string());
            assert_eq!(tools_of(&state, "f"), numbers(0..n + 1), "{mode}");
        }
    }
}
