//! The buffered writer behind `metrics.jsonl`: one thread, one write for all that waits.
//!
//! A caller encodes its event into the buffer of its worker and goes on. The first event of an idle worker puts the
//! worker on the queue; the thread takes the whole buffer, writes it with one call, and puts the worker back if more
//! has come meanwhile. What cannot be written waits within a bound, is tried again, and beyond the bound is counted.

mod budget;
mod metrics_file;
mod output;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

pub use self::metrics_file::EventCounts;
pub(crate) use self::{
    budget::Budget,
    metrics_file::MetricsFile,
    output::{Disk, SystemDisk},
};

/// Files held open between writes; the least recently opened one is closed for the next.
const OPEN_FILES: usize = 128;
/// How long a worker whose write failed waits for the next try, first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(5);
const RETRY_MAX: Duration = Duration::from_millis(250);

/// The thread's queue, shared with all workers' files.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    disk: Arc<dyn Disk>,
    budget: Arc<Budget>,
    /// Emptied buffers, so that a steady state allocates nothing.
    spare_buffers: Mutex<Vec<Vec<u8>>>,
    open_files: Mutex<VecDeque<std::sync::Weak<MetricsFile>>>,
}

#[derive(Debug, Default)]
struct Queue {
    ready: VecDeque<Arc<MetricsFile>>,
    /// Workers whose write failed, by the time of the next try; the number tells equal times apart.
    retries: BTreeMap<(Instant, u64), Arc<MetricsFile>>,
    next_retry: u64,
    /// The last turn went to a retry, so the next one goes to a ready worker.
    retried: bool,
    waiting: bool,
    stopped: bool,
}

impl Queue {
    fn retry_at(&mut self, at: Instant, file: Arc<MetricsFile>) {
        self.next_retry += 1;
        self.retries.insert((at, self.next_retry), file);
    }

    /// What can be written now. Retries and ready workers take turns, so that neither waits for the other for ever.
    fn take_turn(&mut self) -> Option<Arc<MetricsFile>> {
        let retry = self.retries.first_entry();
        let due = retry.filter(|it| it.key().0 <= Instant::now());
        if let Some(due) = due
            && (self.ready.is_empty() || !self.retried)
        {
            self.retried = true;
            return Some(due.remove());
        }
        self.retried = false;
        self.ready.pop_front()
    }
}

impl Writer {
    /// Starts the thread. It ends once the last user of this writer is gone and all is written.
    pub(crate) fn start(disk: Arc<dyn Disk>, budget: Arc<Budget>) -> std::io::Result<Arc<Self>> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            disk,
            budget,
            spare_buffers: Mutex::default(),
            open_files: Mutex::default(),
        });
        let for_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("triscope-writer".to_owned())
            .spawn(move || run(&for_thread))?;
        Ok(Arc::new(Self { shared }))
    }

    fn enqueue(&self, file: Arc<MetricsFile>) {
        let mut queue = self.shared.queue();
        queue.ready.push_back(file);
        if queue.waiting {
            queue.waiting = false;
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue().stopped = true;
        self.shared.wake.notify_one();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_buffer(&self) -> Vec<u8> {
        let mut spare = self
            .spare_buffers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        spare.pop().unwrap_or_default()
    }

    /// Keeps a few buffers of moderate size; the rest goes back to the allocator.
    fn give_back(&self, mut buffer: Vec<u8>) {
        const KEPT: usize = 16;
        const KEPT_BYTES: usize = 256 << 10;
        buffer.clear();
        let mut spare = self
            .spare_buffers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if spare.len() < KEPT && buffer.capacity() <= KEPT_BYTES {
            spare.push(buffer);
        }
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
}

/// The thread's life: takes what is ready, sleeps when nothing is.
fn run(shared: &Shared) {
    while let Some(file) = next(shared) {
        match file.write_pending(shared) {
            metrics_file::Progress::Idle => {}
            metrics_file::Progress::More => shared.queue().ready.push_back(file),
            metrics_file::Progress::Failed { failures } => {
                let wait = RETRY_FIRST
                    .saturating_mul(1 << failures.saturating_sub(1).min(10))
                    .min(RETRY_MAX);
                shared.queue().retry_at(Instant::now() + wait, file);
            }
        }
    }
}

/// The next file to write; `None` once the writer is gone and nothing is left to do.
fn next(shared: &Shared) -> Option<Arc<MetricsFile>> {
    let mut queue = shared.queue();
    loop {
        if let Some(file) = queue.take_turn() {
            return Some(file);
        }
        if queue.stopped {
            // A worker on the queue keeps its writer, so nothing waits here any more.
            return None;
        }
        queue.waiting = true;
        let until = queue.retries.keys().next().map(|(at, _)| *at);
        queue = match until {
            None => shared
                .wake
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                shared
                    .wake
                    .wait_timeout(queue, until.saturating_duration_since(Instant::now()))
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        queue.waiting = false;
    }
}
