//! Whose turn it is: workers with something to write, and those whose write failed, by the time of the next try.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a worker whose write failed waits for the next try, first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(5);
const RETRY_MAX: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Queue<T> {
    ready: VecDeque<Arc<T>>,
    /// The number tells equal times apart.
    retries: BTreeMap<(Instant, u64), Arc<T>>,
    next_retry: u64,
    /// The last turn went to a retry, so the next one goes to a ready worker.
    retried: bool,
    turns: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            retries: BTreeMap::new(),
            next_retry: 0,
            retried: false,
            turns: 0,
        }
    }
}

impl<T> Queue<T> {
    pub(super) fn push(&mut self, it: Arc<T>) {
        self.ready.push_back(it);
    }

    /// For one whose write has failed for the `failures`th time in a row.
    pub(super) fn retry(&mut self, now: Instant, it: Arc<T>, failures: u32) {
        let wait = RETRY_FIRST
            .saturating_mul(1 << failures.saturating_sub(1).min(10))
            .min(RETRY_MAX);
        self.next_retry += 1;
        self.retries.insert((now + wait, self.next_retry), it);
    }

    /// Tries one that waits for its next try at once. Whether it did wait.
    pub(super) fn hurry(&mut self, it: &Arc<T>) -> bool {
        let at = self
            .retries
            .iter()
            .find_map(|(at, waits)| Arc::ptr_eq(waits, it).then_some(*at));
        let hurried = at.and_then(|at| self.retries.remove(&at));
        hurried.map(|it| self.ready.push_back(it)).is_some()
    }

    /// What can be written now. Retries and ready workers take turns, so that neither waits for the other for ever.
    pub(super) fn take_turn(&mut self, now: impl FnOnce() -> Instant) -> Option<Arc<T>> {
        let due = self
            .retries
            .first_entry()
            .filter(|it| it.key().0 <= now())
            .filter(|_| self.ready.is_empty() || !self.retried);
        self.retried = due.is_some();
        let res = match due {
            Some(due) => Some(due.remove()),
            None => self.ready.pop_front(),
        };
        self.turns += u64::from(res.is_some());
        res
    }

    /// When there is something to do, if nothing comes before.
    pub(super) fn next_retry_at(&self) -> Option<Instant> {
        self.retries.keys().next().map(|(at, _)| *at)
    }

    /// Whether somebody could be written now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.ready.is_empty() || self.next_retry_at().is_some_and(|it| it <= now)
    }

    /// How many turns were taken.
    pub(super) fn turns(&self) -> u64 {
        self.turns
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.retries.is_empty()
    }
}
