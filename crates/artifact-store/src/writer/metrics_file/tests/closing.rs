//! A worker's end on a disk that does not answer.

use std::{
    future::Future as _,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Wake},
    thread,
    time::{Duration, Instant},
};

use metrics_core::{EventSink as _, SinkError};
use rustix::io::Errno;

use super::{LONG, ROOMY, metrics_file, record, tools_of, writer};
use crate::{
    disk::fake::{fake_disk, gate},
    writer::{Budget, MetricsFile},
};

const SHORT: Duration = Duration::from_millis(50);

#[test]
fn a_hung_disk_ends_the_wait_in_time_and_all_counts_stay_exact() {
    let (gate, keeper) = gate();
    let (disk, state, ended) = fake_disk(move |_, _, bytes| {
        gate.enter();
        Ok(bytes.len())
    });
    let budget = Budget::new(ROOMY);
    let writer = writer(disk, &budget);
    let file = metrics_file(&writer, "f");
    record(&file, "0");
    keeper.wait_until_reached();
    for n in 1..10 {
        record(&file, &n.to_string());
    }
    let others = file.flush(&file.worker);

    let start = Instant::now();
    let (counts, reason) = file.close(SHORT);
    assert!(start.elapsed() >= SHORT && start.elapsed() < LONG / 2);
    assert_eq!((counts.recorded, counts.lost), (10, 10));
    assert_eq!(reason.as_deref(), Some("the disk did not answer in time"));
    assert!(matches!(
        others.wait(LONG),
        Err(SinkError::Lost { lost: 10, .. })
    ));

    // A second end neither waits nor counts again; what comes now is lost at once.
    record(&file, "10");
    let (counts, _) = file.close(LONG * 60);
    assert_eq!((counts.recorded, counts.lost), (11, 11));

    // What comes through after all is in the file, so it is not lost.
    drop(keeper);
    let last = Arc::downgrade(&file);
    drop(writer);
    let start = Instant::now();
    // The thread has no way to say that it is done but its end, which the file holds up.
    while file.counts().lost == 11 && start.elapsed() < LONG {
        thread::yield_now();
    }
    let counts = file.counts();
    assert_eq!((counts.recorded, counts.lost), (11, 10));
    drop(file);
    ended.wait();
    assert!(last.upgrade().is_none());
    assert_eq!(tools_of(&state, "f"), ["0"]);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_hung_write_that_fails_at_last_gives_its_memory_back() {
    let (gate, keeper) = gate();
    let (disk, state, ended) = fake_disk(move |_, _, _| {
        gate.enter();
        Err(Errno::IO.into())
    });
    let budget = Budget::new(ROOMY);
    let writer = writer(disk, &budget);
    let file = metrics_file(&writer, "f");
    record(&file, "0");
    keeper.wait_until_reached();
    assert_eq!(file.close(Duration::ZERO).0.lost, 1);
    drop((file, writer, keeper));
    ended.wait();
    assert!(state.content("f").is_empty());
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_failing_disk_does_not_keep_the_thread_alive_for_ever() {
    let (report, asked) = std::sync::mpsc::channel();
    let (disk, _, ended) = fake_disk(move |_, _, _| {
        report.send(()).unwrap();
        Err(Errno::NOSPC.into())
    });
    let budget = Budget::new(ROOMY);
    let writer = writer(disk, &budget);
    for _ in 0..10 {
        let file = metrics_file(&writer, "f");
        record(&file, "0");
        for _ in 0..2 {
            asked.recv_timeout(LONG).unwrap(); // At the second time the first answer is known.
        }
        let (counts, reason) = file.close(SHORT);
        assert_eq!((counts.recorded, counts.lost), (1, 1));
        assert_eq!(reason.as_deref(), Some("disk full"));
    }
    drop(writer);
    ended.wait();
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_task_that_outlives_its_worker_may_go_on_if_all_is_there() {
    let (disk, state, _) = fake_disk(|_, _, bytes| Ok(bytes.len()));
    let writer = writer(disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    thread::scope(|scope| {
        let recorder = scope.spawn(|| {
            for _ in 0..10_000 {
                record(&file, "x");
            }
        });
        // However busy it is, an end in time loses nothing.
        while !recorder.is_finished() {
            assert_eq!(file.close(LONG).0.lost, 0);
        }
    });
    let (counts, _) = file.close(LONG);
    assert_eq!((counts.recorded, counts.lost), (10_000, 0));
    assert_eq!(tools_of(&state, "f").len(), 10_000);
}

/// Wakes as a runtime may: by going on with the task on the spot.
struct RecordingWaker {
    file: Arc<MetricsFile>,
    woken: AtomicU64,
}

impl Wake for RecordingWaker {
    fn wake(self: Arc<Self>) {
        record(&self.file, "from the waker");
        self.woken.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_answered_task_may_record_on_the_spot() {
    let (gate, keeper) = gate();
    let (disk, _, _) = fake_disk(move |_, _, bytes| {
        gate.enter();
        Ok(bytes.len())
    });
    let writer = writer(disk, &Budget::new(ROOMY));
    let file = metrics_file(&writer, "f");
    record(&file, "0");
    keeper.wait_until_reached();
    let waker = Arc::new(RecordingWaker {
        file: Arc::clone(&file),
        woken: AtomicU64::new(0),
    });
    let task_waker = Arc::clone(&waker).into();
    let mut context = Context::from_waker(&task_waker);
    let mut flush = pin!(file.flush(&file.worker));
    assert!(flush.as_mut().poll(&mut context).is_pending());
    let (counts, _) = file.close(SHORT);
    assert_eq!((counts.recorded, counts.lost), (1, 1));
    assert_eq!(waker.woken.load(Ordering::SeqCst), 1);
    assert_eq!(file.counts().recorded, 2);
}
