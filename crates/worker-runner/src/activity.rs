//! Keeps each worker's `activity.json` up to date: one thread of the process, off the workers' paths.
//!
//! A worker pays a lock at its start and one at its end. The thread looks at all running workers each [`TICK`] or so and writes
//! only where the set of slow calls has changed; it sleeps while no worker runs.

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use artifact_store::{ActivityFile, OpenCall, WorkerWriter};
use metrics_collector::{CallKind, InFlightCall, MetricsCollector, SeenCalls};

/// A call that ends earlier never touches the disk.
const SLOW: Duration = Duration::from_millis(50);
const TICK: Duration = Duration::from_millis(25);
/// The thread rests so many times as long as it looked, so that thousands of workers cost little of one processor ...
const REST: u32 = 20;
/// ... but no longer than this, as a look at a slow disk takes its time too.
const LONGEST_TICK: Duration = Duration::from_millis(250);
/// A second, with few workers: after so long a file that has not changed is touched, and a write that failed tried again.
const TICKS_TO_TOUCH: u32 = 40;

/// A worker is watched for as long as this lives; dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Watch(Arc<Watched>);

/// `None` once the worker has ended.
#[derive(Debug)]
struct Watched(Mutex<Option<Activity>>);

#[derive(Debug)]
struct Activity {
    collector: MetricsCollector,
    file: ActivityFile,
    seen: SeenCalls,
    is_written: bool,
    /// Ticks since the disk was asked for something.
    idle: u32,
    has_failed: bool,
}

/// Begins to watch a worker. Without a thread, as on a machine that has none left, it has no `activity.json`.
pub(crate) fn watch(worker: &WorkerWriter, collector: &MetricsCollector) -> Watch {
    let watched = Arc::new(Watched(Mutex::new(Some(Activity {
        collector: collector.clone(),
        file: worker.activity_file(),
        seen: SeenCalls::default(),
        is_written: false,
        idle: 0,
        has_failed: false,
    }))));
    WATCHER.add(Arc::clone(&watched));
    Watch(watched)
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Waits for a write that is under way, as the file would else come back behind the worker's end.
        if let Some(activity) = self.0.lock().take() {
            activity.end();
        }
    }
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, Option<Activity>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the file up to date; whether the worker still runs.
    fn look(&self) -> bool {
        let mut activity = self.lock();
        if let Some(activity) = &mut *activity {
            activity.look();
        }
        activity.is_some()
    }
}

impl Activity {
    fn look(&mut self) {
        self.idle += 1;
        if self.has_failed && self.idle < TICKS_TO_TOUCH {
            return;
        }
        let done = match self.collector.slow_calls(SLOW, &mut self.seen) {
            Some(calls) if calls.is_empty() => self.file.remove(),
            Some(calls) => {
                let calls: Vec<_> = calls.into_iter().map(open_call).collect();
                self.file.write(&calls)
            }
            None if !self.is_written || self.idle < TICKS_TO_TOUCH => return,
            None if self.seen.is_empty() => self.file.remove(), // It failed the first time.
            // A call may take minutes; how long it took is known all the same.
            None => self.file.touch(),
        };
        self.idle = 0;
        // No worker fails over this, and none is told.
        self.has_failed = done.is_err();
        if self.has_failed {
            // What is on the disk is not known any more.
            self.seen = SeenCalls::default();
            self.is_written = true;
        } else {
            self.is_written = !self.seen.is_empty();
        }
    }

    fn end(self) {
        if self.is_written {
            let _ = self.file.remove();
        }
    }
}

fn open_call(call: InFlightCall) -> OpenCall {
    let InFlightCall {
        kind,
        name,
        phase,
        start_ts,
        span_id,
        ..
    } = call;
    match kind {
        CallKind::Llm => OpenCall::LlmCall {
            model: name,
            phase,
            start_ts,
            span_id,
        },
        CallKind::Tool => OpenCall::ToolCall {
            tool: name,
            start_ts,
            span_id,
        },
    }
}

/// The thread's inbox. It keeps its list to itself, so that nobody waits for it while it writes.
#[derive(Debug)]
struct Watcher {
    inbox: Mutex<Inbox>,
    wake: Condvar,
}

#[derive(Debug)]
struct Inbox {
    started: Vec<Arc<Watched>>,
    has_thread: bool,
}

static WATCHER: Watcher = Watcher {
    inbox: Mutex::new(Inbox {
        started: Vec::new(),
        has_thread: false,
    }),
    wake: Condvar::new(),
};

impl Watcher {
    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&'static self, watched: Arc<Watched>) {
        let mut inbox = self.inbox();
        if !inbox.has_thread {
            let thread = thread::Builder::new().name("triscope-activity".to_owned());
            inbox.has_thread = thread.spawn(|| self.run()).is_ok();
        }
        if inbox.has_thread {
            inbox.started.push(watched);
            self.wake.notify_one();
        }
    }

    fn run(&self) {
        let mut running: Vec<Arc<Watched>> = Vec::new();
        loop {
            let mut inbox = self.inbox();
            while running.is_empty() && inbox.started.is_empty() {
                inbox = self
                    .wake
                    .wait(inbox)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            let started = mem::take(&mut inbox.started);
            drop(inbox);
            running.extend(started);
            let start = Instant::now();
            running.retain(|it| it.look());
            if !running.is_empty() {
                let pause = start.elapsed().saturating_mul(REST);
                thread::sleep(pause.clamp(TICK, LONGEST_TICK));
            }
        }
    }
}
