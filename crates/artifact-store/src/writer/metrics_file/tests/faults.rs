//! A disk that fails and comes back: nothing lost without a word, nothing twice, no half line.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::channel,
    },
    time::{Duration, Instant},
};

use metrics_core::{EventSink as _, SinkError};
use rustix::io::Errno;

use super::{
    LONG, ROOMY, Random, line_len, metrics_file, numbers, record, tools_of, writer, writer_in,
};
use crate::{
    disk::fake::{Fate, Op, fake_disk, gate},
    writer::{Budget, EventCounts, MetricsFile, RecordMode},
};

#[test]
fn an_error_is_tried_again_until_all_is_there_in_order() {
    let (disk, state, _) = fake_disk(|_, number, bytes| match number {
        0 | 2 | 3 => Err(Errno::NOSPC.into()),
        _ => Ok(bytes.len().min(700)),
    });
    let budget = Budget::new(ROOMY);
    let writer = writer(disk, &budget);
    let file = metrics_file(&writer, "f");
    for n in 0..100 {
        record(&file, &n.to_string());
    }
    let (counts, reason) = file.close(LONG);
    assert_eq!((counts.recorded, counts.lost), (100, 0));
    assert_eq!(reason, None, "an error that was overcome is no loss");
    assert_eq!(tools_of(&state, "f"), numbers(0..100));
    assert_eq!(budget.used(), 0);
}

#[test]
fn short_and_interrupted_writes_lose_nothing() {
    let (disk, state, _) = fake_disk(|_, number, bytes| match number % 3 {
        0 => Err(Errno::INTR.into()),
        it => Ok(bytes.len().min(number % 7 + it)),
    });
    let writer = writer(disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    for n in 0..50 {
        record(&file, &n.to_string());
    }
    file.flush(&file.worker).wait(LONG).unwrap();
    assert_eq!(tools_of(&state, "f"), numbers(0..50));
}

#[test]
fn a_write_that_takes_nothing_is_an_error_and_does_not_spin() {
    let (disk, state, _) = fake_disk(|_, number, bytes| match number {
        0..3 => Ok(0),
        _ => Ok(bytes.len()),
    });
    let writer = writer(disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    record(&file, "0");
    let start = Instant::now();
    file.flush(&file.worker).wait(LONG).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(5 + 10));
    assert_eq!(tools_of(&state, "f"), ["0"]);
}

#[test]
fn a_disk_that_says_try_again_is_asked_ever_more_rarely() {
    let (report, reported) = channel();
    let (disk, _, _) = fake_disk(move |_, _, _| {
        report.send(Instant::now()).unwrap();
        Err(Errno::AGAIN.into())
    });
    let writer = writer(disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    record(&file, "0");
    let asked: Vec<_> = (0..8)
        .map(|_| reported.recv_timeout(LONG).unwrap())
        .collect();
    for (waits, at_least) in asked.windows(2).zip([5, 10, 20, 40, 80, 160, 250]) {
        let waited = waits[1] - waits[0];
        assert!(waited >= Duration::from_millis(at_least), "{waited:?}");
    }
    file.close(Duration::ZERO);
}

#[test]
fn with_an_error_one_time_in_ten_all_is_stored_or_counted() {
    for mode in RecordMode::ALL {
        let lost: u64 = (0..20).map(|it| all_is_stored_or_counted(mode, it)).sum();
        // Callers that wait try again at each event, so that little ever waits.
        assert!(
            lost > 0 || mode != RecordMode::Buffered,
            "the bound was never reached"
        );
    }
}

/// Gives the number of events that were lost.
fn all_is_stored_or_counted(mode: RecordMode, seed: u64) -> u64 {
    const EVENTS: usize = 300;
    let (mut random, mut for_sync) = (Random(seed * 2 + 1), Random(seed * 2 + 2));
    let (disk, state, ended) = fake_disk(move |_, _, bytes| {
        match random.next() % 20 {
            0 | 1 => Err(Errno::IO.into()),
            2..10 => Ok(bytes.len() / 2 + 1), // The error may come in the middle of a line.
            _ => Ok(bytes.len()),
        }
    });
    state.cut_fails.store(seed % 2 == 1, Ordering::SeqCst);
    state.set_fault(move |op| match op {
        Op::Sync(_) if for_sync.next() % 10 == 0 => Fate::Fails(Errno::IO),
        _ => Fate::Done,
    });
    // So small that some must be lost while the disk fails.
    let budget = Budget::new(10 * line_len("100"));
    let writer = writer_in(mode, disk, &budget);
    let file = metrics_file(&writer, "f");
    for n in 0..EVENTS {
        record(&file, &n.to_string());
        if n % 40 == 0 {
            let _ = file.flush(&file.worker).wait(LONG);
        }
    }
    let (counts, reason) = file.close(LONG);
    drop((writer, file));
    ended.wait();
    let stored = tools_of(&state, "f");
    assert_eq!(counts.recorded, EVENTS as u64, "seed {seed}");
    assert_eq!(
        stored.len() as u64 + counts.lost,
        counts.recorded,
        "seed {seed}"
    );
    assert_eq!(reason.is_some(), counts.lost > 0, "seed {seed}");
    let stored: Vec<usize> = stored.iter().map(|it| it.parse().unwrap()).collect();
    assert!(stored.is_sorted_by(|one, other| one < other), "{stored:?}");
    assert_eq!(budget.used(), 0, "seed {seed}");
    counts.lost
}

/// A disk of so many bytes.
fn small_disk(
    free: &Arc<AtomicUsize>,
) -> impl FnMut(&std::path::Path, usize, &[u8]) -> io::Result<usize> + Send + use<> {
    let free = Arc::clone(free);
    move |_, _, bytes| match free.load(Ordering::SeqCst) {
        0 => Err(Errno::NOSPC.into()),
        left => {
            let taken = left.min(bytes.len());
            free.fetch_sub(taken, Ordering::SeqCst);
            Ok(taken)
        }
    }
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_line_and_freed_later_holds_whole_lines_only() {
    for cut_fails in [false, true] {
        let free = Arc::new(AtomicUsize::new(5 * line_len("0") / 2));
        let (disk, state, _) = fake_disk(small_disk(&free));
        state.cut_fails.store(cut_fails, Ordering::SeqCst);
        let writer = writer(disk, &Budget::new(ROOMY));
        let file = metrics_file(&writer, "f");
        for n in 0..6 {
            record(&file, &n.to_string());
        }
        let early = file.flush(&file.worker).wait(Duration::from_millis(50));
        assert!(matches!(early, Err(SinkError::Timeout(_))));
        free.store(usize::MAX, Ordering::SeqCst);
        file.flush(&file.worker).wait(LONG).unwrap();
        assert_eq!(tools_of(&state, "f"), numbers(0..6));
        let torn = state.content("f.torn").len();
        assert_eq!(torn > 0, cut_fails, "{torn} bytes moved aside");
    }
}

#[test]
fn a_disk_that_stays_full_keeps_what_fits_and_counts_the_rest() {
    let free = Arc::new(AtomicUsize::new(5 * line_len("0") / 2));
    let (disk, state, ended) = fake_disk(small_disk(&free));
    let budget = Budget::new(ROOMY);
    let writer = writer(disk, &budget);
    let file = metrics_file(&writer, "f");
    for n in 0..6 {
        record(&file, &n.to_string());
    }
    let (counts, reason) = file.close(Duration::from_millis(500));
    drop((file, writer));
    ended.wait();
    assert_eq!(tools_of(&state, "f"), ["0", "1"]);
    assert_eq!((counts.recorded, counts.lost), (6, 4));
    assert_eq!(reason.as_deref(), Some("disk full"));
    assert_eq!(budget.used(), 0);
}

#[test]
fn beyond_the_bound_events_are_counted_and_the_memory_comes_back() {
    let (gate, keeper) = gate();
    let (disk, state, _) = fake_disk(move |_, _, bytes| {
        gate.enter();
        Ok(bytes.len())
    });
    let budget = Budget::new(10 * line_len("1"));
    let writer = writer(disk, &budget);
    let (file, other) = (metrics_file(&writer, "f"), metrics_file(&writer, "g"));
    record(&file, "0");
    keeper.wait_until_reached();
    for _ in 1..8 {
        record(&file, "1");
    }
    for _ in 0..8 {
        record(&other, "2"); // The bound is one for all workers.
    }
    assert_eq!(budget.used(), 10 * line_len("1"));
    assert_eq!(file.counts().lost, 0);
    assert_eq!(other.counts().lost, 6);
    drop(keeper);
    file.flush(&file.worker).wait(LONG).unwrap();
    let answer = other.flush(&other.worker).wait(LONG);
    let reason = "the disk is too slow".to_owned();
    assert_eq!(answer, Err(SinkError::Lost { lost: 6, reason }));
    assert_eq!(budget.used(), 0);
    record(&other, "3"); // It goes on.
    let (counts, _) = other.close(LONG);
    assert_eq!((counts.recorded, counts.lost), (9, 6));
    assert_eq!(tools_of(&state, "g"), ["2", "2", "3"]);
}

#[test]
fn a_loss_is_not_put_down_to_an_error_that_was_overcome() {
    let (gate, keeper) = gate();
    let (disk, _, _) = fake_disk(move |_, number, bytes| {
        if number == 0 {
            return Err(Errno::NOSPC.into());
        }
        gate.enter();
        Ok(bytes.len())
    });
    let writer = writer(disk, &Budget::new(2 * line_len("0")));
    let file = metrics_file(&writer, "f");
    record(&file, "0");
    keeper.wait_until_reached();
    keeper.let_one_through();
    file.flush(&file.worker).wait(LONG).unwrap();
    record(&file, "1");
    keeper.wait_until_reached();
    record(&file, "2");
    record(&file, "3");
    drop(keeper);
    let (counts, reason) = file.close(LONG);
    assert_eq!((counts.recorded, counts.lost), (4, 1));
    assert_eq!(reason.as_deref(), Some("the disk is too slow"));
}

#[test]
fn an_event_larger_than_the_bound_is_counted_and_the_next_one_is_kept() {
    let (disk, state, _) = fake_disk(|_, _, bytes| Ok(bytes.len()));
    let writer = writer(disk, &Budget::new(10_000));
    let file = metrics_file(&writer, "f");
    record(&file, &"x".repeat(10_000));
    record(&file, "1");
    let (counts, _) = file.close(LONG);
    assert_eq!((counts.recorded, counts.lost), (2, 1));
    assert_eq!(tools_of(&state, "f"), ["1"]);
}

#[test]
fn what_went_to_a_file_deleted_in_that_moment_is_counted() {
    let (disk, state, _) = fake_disk(|_, _, bytes| Ok(bytes.len()));
    let writer = writer(disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    let files = Arc::clone(&state);
    let mut is_first = true;
    state.set_fault(move |op| {
        if matches!(op, Op::Write(_)) && std::mem::take(&mut is_first) {
            files.replace("f", None);
        }
        Fate::Done
    });
    record(&file, "0");
    let answer = file.flush(&file.worker).wait(LONG);
    let reason = "metrics.jsonl was deleted or replaced".to_owned();
    assert_eq!(answer, Err(SinkError::Lost { lost: 1, reason }));
    record(&file, "1");
    let (counts, _) = file.close(LONG);
    assert_eq!((counts.recorded, counts.lost), (2, 1));
    assert_eq!(tools_of(&state, "f"), ["1"]);
    state.set_fault(|_| Fate::Done); // It owned its disk.
}

#[test]
fn a_failed_worker_is_tried_again_though_another_one_is_always_busy() {
    let busy: Arc<Mutex<Option<Arc<MetricsFile>>>> = Arc::default();
    let (is_over, in_disk) = (Arc::new(AtomicBool::new(false)), Arc::clone(&busy));
    let over = Arc::clone(&is_over);
    let start = Instant::now();
    let (disk, state, _) = fake_disk(move |path, number, bytes| {
        if number == 0 {
            return Err(Errno::IO.into());
        }
        let busy = in_disk.lock().unwrap();
        if path.ends_with("busy")
            && !over.load(Ordering::SeqCst)
            && start.elapsed() < LONG
            && let Some(busy) = &*busy
        {
            record(busy, "more"); // It has never nothing to write.
        }
        Ok(bytes.len())
    });
    let writer = writer(disk, &Budget::new(ROOMY));
    let failed = metrics_file(&writer, "failed");
    let busy_file = metrics_file(&writer, "busy");
    record(&failed, "0");
    *busy.lock().unwrap() = Some(Arc::clone(&busy_file));
    record(&busy_file, "first");
    let answer = failed.flush(&failed.worker).wait(LONG / 4);
    is_over.store(true, Ordering::SeqCst);
    answer.unwrap();
    assert_eq!(tools_of(&state, "failed"), ["0"]);
    *busy.lock().unwrap() = None; // Else the disk would keep its own writer.
    assert_eq!(busy_file.close(LONG).0.lost, 0);
}

#[test]
fn an_event_of_another_worker_is_counted_and_not_written() {
    let (disk, state, _) = fake_disk(|_, _, bytes| Ok(bytes.len()));
    let writer = writer(disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    file.record(&"somebody else".into(), &super::event("0"));
    let (counts, reason) = file.close(LONG);
    let expected = EventCounts {
        recorded: 1,
        lost: 1,
    };
    assert_eq!(counts, expected);
    assert_eq!(reason.as_deref(), Some("recorded for another worker"));
    assert!(state.content("f").is_empty());
}
