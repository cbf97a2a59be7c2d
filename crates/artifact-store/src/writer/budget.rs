//! How many bytes may wait for the disk, in all workers together.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicUsize, Ordering},
};

/// The bound of the whole process: 64 MiB.
const PROCESS_LIMIT: usize = 64 << 20;
/// The most that a worker takes ahead of its needs.
const MAX_AHEAD: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            limit,
        })
    }

    /// The budget that all stores of this process share.
    pub(crate) fn of_process() -> Arc<Self> {
        static PROCESS: OnceLock<Arc<Budget>> = OnceLock::new();
        Arc::clone(PROCESS.get_or_init(|| Self::new(PROCESS_LIMIT)))
    }

    /// Takes `bytes`, or says that the bound is reached.
    fn take(&self, bytes: usize) -> bool {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= self.limit;
        if !fits {
            self.give_back(bytes);
        }
        fits
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn give_back(&self, bytes: usize) {
        if bytes > 0 {
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

/// One worker's part of the budget: what waits, and a little ahead, so that a busy worker need not ask at every event.
#[derive(Debug, Default)]
pub(super) struct Share {
    ahead: usize,
}

impl Share {
    /// Takes `bytes` for a worker that has `waiting` bytes already, or says that the bound is reached.
    pub(super) fn take(&mut self, budget: &Budget, bytes: usize, waiting: usize) -> bool {
        if let Some(left) = self.ahead.checked_sub(bytes) {
            self.ahead = left;
            return true;
        }
        // As much ahead as it has, so that ten thousand workers with an event each take no more than they need.
        let ahead = waiting.min(MAX_AHEAD);
        if ahead > 0 && budget.take(bytes + ahead) {
            self.ahead += ahead;
            return true;
        }
        budget.take(bytes)
    }

    /// Gives back `bytes` that wait no more.
    #[expect(clippy::unused_self, reason = "it is this share's")]
    pub(super) fn give_back(&self, budget: &Budget, bytes: usize) {
        budget.give_back(bytes);
    }

    /// Gives back what was taken ahead.
    pub(super) fn give_back_ahead(&mut self, budget: &Budget) {
        budget.give_back(std::mem::take(&mut self.ahead));
    }
}
