//! The writer behind `metrics.jsonl`: one thread, one write for all that waits.
//!
//! A caller encodes its event into the buffer of its worker and goes on. The first event of an idle worker puts the
//! worker on the queue; the thread takes the whole buffer, writes it with one call, and puts the worker back if more
//! has come meanwhile. What cannot be written waits within a bound, is tried again, and beyond the bound is counted.
//!
//! In the modes that wait, the caller writes by itself: whoever holds the file writes what all have recorded so far, so
//! that one write, and one wait for the disk, serves many. The thread then only tries again, and answers barriers.
//!
//! A write can hang, as on a network disk. So a second thread stands by: when nothing moves for a while though somebody
//! waits, it goes on in the first one's place, and the next one stands by.

mod appender;
mod budget;
mod metrics_file;
mod mode;
mod pending;
mod queue;

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

pub(crate) use self::{budget::Budget, metrics_file::MetricsFile};
pub use self::{
    mode::{RecordMode, RecordModeError},
    pending::EventCounts,
};
use self::{pending::Progress, queue::Queue};
use crate::{disk::Disk, whole_file::Files};

/// Files held open between writes; the least recently opened one is closed for the next.
const OPEN_FILES: usize = 128;
/// So long nothing moves before the thread that stands by goes on instead of the one that hangs.
const PATIENCE: Duration = Duration::from_millis(100);
/// Threads at most, hanging ones included.
const MAX_THREADS: usize = 8;

/// The threads' queue, shared with all workers' files.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    mode: RecordMode,
    files: Files,
    budget: Arc<Budget>,
    state: Mutex<State>,
    /// For the thread that writes.
    work: Condvar,
    /// For the thread that stands by.
    relief: Condvar,
    /// Emptied buffers, so that a steady state allocates nothing.
    spare_buffers: Mutex<Vec<Vec<u8>>>,
    open_files: Mutex<VecDeque<Weak<MetricsFile>>>,
}

#[derive(Debug, Default)]
struct State {
    queue: Queue<MetricsFile>,
    /// Which thread writes; one with a lower number was replaced.
    on_duty: u64,
    /// The one on duty has nothing to do.
    idle: bool,
    relief: Relief,
    n_threads: usize,
    stopped: bool,
}

/// The thread that stands by.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Relief {
    #[default]
    Absent,
    /// It sleeps, as nobody waits.
    Asleep,
    /// It looks whether the one on duty gets on.
    Watches,
}

impl Writer {
    /// Starts the threads. They end once the last user of this writer is gone and all is written.
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        budget: Arc<Budget>,
        mode: RecordMode,
    ) -> io::Result<Arc<Self>> {
        let shared = Arc::new(Shared {
            mode,
            files: Files {
                disk,
                durable: mode == RecordMode::Fsync,
            },
            budget,
            state: Mutex::default(),
            work: Condvar::new(),
            relief: Condvar::new(),
            spare_buffers: Mutex::default(),
            open_files: Mutex::default(),
        });
        let writer = Arc::new(Self { shared });
        let shared = &writer.shared;
        let mut state = shared.state();
        shared.spawn(&mut state, Some(0))?;
        // Without it a write that hangs holds up the others, which is no reason not to record.
        let _ = shared.spawn(&mut state, None);
        drop(state);
        Ok(writer)
    }

    /// The store's disk, for its other files.
    pub(crate) fn files(&self) -> &Files {
        &self.shared.files
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.state().stopped = true;
        self.shared.work.notify_all();
        self.shared.relief.notify_all();
    }
}

impl Shared {
    /// Puts a worker on the queue.
    fn enqueue(&self, file: Arc<MetricsFile>) {
        let mut state = self.state();
        state.queue.push(file);
        self.wake(&mut state);
    }

    fn retry(&self, file: Arc<MetricsFile>, failures: u32) {
        let mut state = self.state();
        state.queue.retry(Instant::now(), file, failures);
        self.wake(&mut state);
    }

    /// Tries a worker whose write failed at once.
    fn hurry(&self, file: &Arc<MetricsFile>) {
        let mut state = self.state();
        if state.queue.hurry(file) {
            self.wake(&mut state);
        }
    }

    fn wake(&self, state: &mut State) {
        if std::mem::take(&mut state.idle) {
            self.work.notify_all();
        } else if state.relief == Relief::Asleep {
            state.relief = Relief::Watches;
            self.relief.notify_all();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_buffer(&self) -> Vec<u8> {
        self.spare_buffers().pop().unwrap_or_default()
    }

    /// Keeps a few buffers of moderate size; the rest goes back to the allocator.
    fn give_back(&self, mut buffer: Vec<u8>) {
        const KEPT: usize = 16;
        const KEPT_BYTES: usize = 256 << 10;
        buffer.clear();
        let mut spare = self.spare_buffers();
        if spare.len() < KEPT && (1..=KEPT_BYTES).contains(&buffer.capacity()) {
            spare.push(buffer);
        }
    }

    fn spare_buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare_buffers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `file` was opened, and closes the file that has been open for longest if there are too many.
    fn note_open(&self, file: &Arc<MetricsFile>) {
        let mut open = self
            .open_files
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.push_back(Arc::downgrade(file));
        if open.len() > OPEN_FILES
            && let Some(oldest) = open.pop_front().and_then(|it| it.upgrade())
        {
            drop(open);
            if !Arc::ptr_eq(&oldest, file) {
                oldest.close_handle();
            }
        }
    }

    /// Closes all files that are held open between writes, as somebody else needs their descriptors.
    fn close_all_handles(&self) {
        let open = self.open_files.lock();
        let open = std::mem::take(&mut *open.unwrap_or_else(PoisonError::into_inner));
        for file in open.iter().filter_map(Weak::upgrade) {
            file.close_handle();
        }
    }

    /// Starts a thread: the one on duty with that number, or one that stands by.
    fn spawn(self: &Arc<Self>, state: &mut State, on_duty: Option<u64>) -> io::Result<()> {
        let shared = Arc::clone(self);
        thread::Builder::new()
            .name("triscope-writer".to_owned())
            .spawn(move || shared.live(on_duty))?;
        state.n_threads += 1;
        Ok(())
    }

    /// A thread's life: on duty until it is replaced, then standing by until it replaces another one.
    fn live(self: Arc<Self>, mut on_duty: Option<u64>) {
        loop {
            if let Some(number) = on_duty {
                self.work(number);
            }
            on_duty = self.stand_by();
            if on_duty.is_none() {
                self.state().n_threads -= 1;
                return;
            }
        }
    }

    /// Takes what is ready, sleeps when nothing is; until another thread is on duty, or the writer is gone.
    fn work(&self, number: u64) {
        while let Some(file) = self.next(number) {
            match file.write_pending() {
                Progress::Idle => {}
                Progress::More => self.enqueue(file),
                Progress::Failed { failures } => self.retry(file, failures),
            }
        }
    }

    fn next(&self, number: u64) -> Option<Arc<MetricsFile>> {
        let mut state = self.state();
        loop {
            if state.on_duty != number {
                return None;
            }
            if let Some(file) = state.queue.take_turn(Instant::now) {
                return Some(file);
            }
            if state.stopped {
                // A worker on the queue keeps its writer, so nothing waits here any more.
                return None;
            }
            state.idle = true;
            state = match state.queue.next_retry_at() {
                None => self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let wait = at.saturating_duration_since(Instant::now());
                    self.work
                        .wait_timeout(state, wait)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
            if state.on_duty == number {
                state.idle = false; // Else it is the other one's to say.
            }
        }
    }

    /// Waits until the one on duty hangs, and gives the number that replaces it; `None` if that is not needed.
    fn stand_by(self: &Arc<Self>) -> Option<u64> {
        let mut state = self.state();
        if state.relief != Relief::Absent {
            return None;
        }
        loop {
            if state.stopped {
                state.relief = Relief::Absent;
                return None;
            }
            if state.queue.is_empty() {
                state.relief = Relief::Asleep;
                state = self
                    .relief
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.relief = Relief::Watches;
            let turns = state.queue.turns();
            state = self
                .relief
                .wait_timeout_while(state, PATIENCE, |it| !it.stopped)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            let hangs = !state.idle && state.queue.turns() == turns;
            if hangs && state.queue.is_due(Instant::now()) {
                state.relief = Relief::Absent;
                state.on_duty += 1;
                if state.n_threads < MAX_THREADS {
                    let _ = self.spawn(&mut state, None);
                }
                return Some(state.on_duty);
            }
        }
    }
}
