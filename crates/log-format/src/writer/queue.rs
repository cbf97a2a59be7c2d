//! The bounded queue between events and the log thread.
//!
//! Lines lie end to end in one buffer, which the thread takes whole. The lock is held for a copy or a
//! swap, never for I/O.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often an idle thread tries to say what was dropped.
const RETRY: Duration = Duration::from_secs(1);

/// Room a buffer has from the start, in bytes: ordinary bursts allocate nothing.
const FIRST_CAPACITY: usize = 64 * 1024;

/// A buffer that grew above this size is not kept, in bytes.
const KEEP_CAPACITY: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    state: Mutex<State>,
    /// The thread waits here for work.
    work: Condvar,
    /// Flushes wait here.
    flushed: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    /// Bytes the thread has taken and not finished; they count against the capacity.
    in_flight: usize,
    /// Lines dropped for want of room since the last batch.
    refused: u64,
    flush_asked: u64,
    flush_done: u64,
    sleeping: bool,
    closed: bool,
}

/// What the thread has to do beside the lines.
#[derive(Debug)]
pub(super) struct Work {
    /// Lines that were refused after those of this batch.
    pub(super) refused: u64,
    /// No more lines can come.
    pub(super) closed: bool,
    flush: u64,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            state: Mutex::new(State {
                lines: Self::new_buffer(),
                ..State::default()
            }),
            work: Condvar::new(),
            flushed: Condvar::new(),
            dropped: AtomicU64::new(0),
        }
    }

    /// A buffer as the thread needs one for its batches.
    pub(super) fn new_buffer() -> Vec<u8> {
        Vec::with_capacity(FIRST_CAPACITY)
    }

    /// Copies a line in, or counts it as dropped.
    pub(super) fn push(&self, line: &[u8]) {
        let mut state = self.lock();
        if state.lines.len() + state.in_flight + line.len() <= self.capacity {
            state.lines.extend_from_slice(line);
        } else {
            state.refused += 1;
            self.count_dropped();
        }
        self.wake(state);
    }

    /// Waits until the thread has finished all that was pushed before; false at the deadline.
    pub(super) fn flush(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        state.flush_asked += 1;
        let asked = state.flush_asked;
        self.wake(state);
        let mut state = self.lock();
        while state.flush_done < asked {
            let Some(deadline) = deadline else {
                state = self
                    .flushed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.flushed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.wake(state);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for work and swaps the waiting lines into `batch`.
    ///
    /// With `unsaid` losses the thread comes back after a while even if nothing happens.
    pub(super) fn next_batch(&self, batch: &mut Vec<u8>, unsaid: bool) -> Work {
        batch.clear();
        if batch.capacity() > KEEP_CAPACITY {
            *batch = Self::new_buffer();
        }
        let mut state = self.lock();
        while state.is_idle() {
            state.sleeping = true;
            if unsaid {
                let waited = self.work.wait_timeout(state, RETRY);
                let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                state = woken;
                if timeout.timed_out() {
                    break;
                }
            } else {
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
        state.sleeping = false;
        mem::swap(batch, &mut state.lines);
        state.in_flight = batch.len();
        Work {
            refused: mem::take(&mut state.refused),
            closed: state.closed,
            flush: state.flush_asked,
        }
    }

    /// Says that a batch is done.
    pub(super) fn finish(&self, work: &Work) {
        let mut state = self.lock();
        state.in_flight = 0;
        if state.flush_done != work.flush {
            state.flush_done = work.flush;
            drop(state);
            self.flushed.notify_all();
        }
    }

    /// Wakes the thread if it sleeps, after the lock is free: it would else run into it.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let sleeping = mem::take(&mut state.sleeping);
        drop(state);
        if sleeping {
            self.work.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock; if something did, the counters are still good enough.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.lines.is_empty()
            && self.refused == 0
            && self.flush_done == self.flush_asked
            && !self.closed
    }
}
