//! Where finished events go, and how to wait for them.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use crate::{Event, WorkerId};

/// Where finished events go. Backends implement this; everyone else calls the collector.
///
/// # Contract
/// - A buffered sink returns at once; only a sink that promises durability waits for its disk.
/// - One event is all or nothing: no reader sees half a line of it as a line.
/// - Events of one worker keep their order; workers are independent.
/// - A loss is counted and said by `flush`, never a panic: the worker goes on.
pub trait EventSink: fmt::Debug + Send + Sync + 'static {
    /// Takes one event of `worker`; [`flush`](Self::flush) says when it has arrived.
    fn record(&self, worker: &WorkerId, event: &Event<'_>);

    /// A barrier: resolves when all that was recorded for `worker` before this call has arrived.
    ///
    /// Resolves to [`SinkError::Lost`] if any event of `worker` so far could not be kept.
    fn flush(&self, worker: &WorkerId) -> Flush;
}

/// Why a [`Flush`] could not say that all is well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SinkError {
    /// Events of this worker could not be kept.
    #[error("{lost} events lost ({reason})")]
    Lost {
        /// How many, since the worker started.
        lost: u64,
        /// What happened, such as `disk full`.
        reason: String,
    },
    /// The time to wait was over; the events may still arrive.
    #[error("not flushed within {} ms; the disk may be slow or hang", .0.as_millis())]
    Timeout(Duration),
    /// The sink is gone and will not answer any more.
    #[error("the sink was closed before it flushed")]
    Closed,
}

/// The answer to [`EventSink::flush`]: a future, with [`wait`](Self::wait) for blocking callers.
#[derive(Debug)]
#[must_use = "a flush says nothing until it is awaited or waited for"]
pub struct Flush(Arc<FlushState>);

/// The other end of a [`Flush`], held by the sink. Dropping it resolves the flush to [`SinkError::Closed`].
#[derive(Debug)]
pub struct FlushPromise(Arc<FlushState>);

#[derive(Debug, Default)]
struct FlushState {
    slot: Mutex<FlushSlot>,
    resolved: Condvar,
}

#[derive(Debug, Default)]
struct FlushSlot {
    result: Option<Result<(), SinkError>>,
    waker: Option<Waker>,
}

impl Flush {
    /// A flush and the promise that resolves it.
    pub fn pending() -> (FlushPromise, Self) {
        let state = Arc::new(FlushState::default());
        (FlushPromise(Arc::clone(&state)), Self(state))
    }

    /// A flush that is resolved already.
    pub fn ready(result: Result<(), SinkError>) -> Self {
        let (promise, flush) = Self::pending();
        promise.resolve(result);
        flush
    }

    /// Blocks until it resolves, or gives [`SinkError::Timeout`] after `timeout`.
    ///
    /// # Errors
    /// As the sink says, or the timeout.
    pub fn wait(self, timeout: Duration) -> Result<(), SinkError> {
        let deadline = Instant::now().checked_add(timeout);
        let mut slot = self.0.lock();
        loop {
            if let Some(result) = slot.result.take() {
                return result;
            }
            let left = deadline.map_or(Duration::from_hours(1), |it| {
                it.saturating_duration_since(Instant::now())
            });
            if left.is_zero() {
                return Err(SinkError::Timeout(timeout));
            }
            slot = self
                .0
                .resolved
                .wait_timeout(slot, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Future for Flush {
    type Output = Result<(), SinkError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.lock();
        match slot.result.clone() {
            Some(result) => Poll::Ready(result),
            None => {
                let before = slot.waker.replace(context.waker().clone());
                // The last waker of a task drops the task, which may own the promise of this very flush.
                drop(slot);
                drop(before);
                Poll::Pending
            }
        }
    }
}

impl FlushPromise {
    /// Resolves the flush.
    pub fn resolve(self, result: Result<(), SinkError>) {
        self.0.resolve(result);
    }
}

impl Drop for FlushPromise {
    fn drop(&mut self) {
        self.0.resolve(Err(SinkError::Closed));
    }
}

impl FlushState {
    /// The first answer stands.
    fn resolve(&self, result: Result<(), SinkError>) {
        let mut slot = self.lock();
        if slot.result.is_some() {
            return;
        }
        slot.result = Some(result);
        let waker = slot.waker.take();
        drop(slot);
        self.resolved.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, FlushSlot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sink that keeps events in memory, for tests and for programs that only want the totals.
#[derive(Debug, Default)]
pub struct MemorySink {
    events: Mutex<HashMap<WorkerId, Vec<Event<'static>>>>,
}

impl MemorySink {
    /// What was recorded for `worker`, in order.
    pub fn events(&self, worker: &WorkerId) -> Vec<Event<'static>> {
        self.lock().get(worker).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkerId, Vec<Event<'static>>>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for MemorySink {
    fn record(&self, worker: &WorkerId, event: &Event<'_>) {
        let event = event.clone().into_owned();
        self.lock().entry(worker.clone()).or_default().push(event);
    }

    fn flush(&self, _: &WorkerId) -> Flush {
        Flush::ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
