//! How much waits to be written to a client, so that one that reads nothing does not fill the memory with answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// No more answers are made while so much waits.
const FULL_BYTES: usize = 8 << 20;

/// Counts what waits. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbox(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiting_bytes: Mutex<usize>,
    written: Notify,
}

/// Counts a message until it is written, or given up.
#[derive(Debug)]
pub(crate) struct Waiting {
    outbox: Outbox,
    bytes: usize,
}

impl Outbox {
    pub(crate) fn add(&self, bytes: usize) -> Waiting {
        *self.bytes() += bytes;
        Waiting {
            outbox: self.clone(),
            bytes,
        }
    }

    /// Waits until there is room for more.
    pub(crate) async fn room(&self) {
        loop {
            let written = self.0.written.notified();
            tokio::pin!(written);
            // From here on nothing that is written is missed.
            written.as_mut().enable();
            if *self.bytes() < FULL_BYTES {
                return;
            }
            written.await;
        }
    }

    fn bytes(&self) -> MutexGuard<'_, usize> {
        let bytes = self.0.waiting_bytes.lock();
        bytes.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        *self.outbox.bytes() -= self.bytes;
        self.outbox.0.written.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future as _, pin::pin, task};

    use super::{FULL_BYTES, Outbox};

    #[test]
    fn a_full_outbox_has_room_once_something_is_written() {
        let outbox = Outbox::default();
        let (small, large) = (outbox.add(1), outbox.add(FULL_BYTES));
        let mut room = pin!(outbox.room());
        let mut context = task::Context::from_waker(task::Waker::noop());
        assert!(room.as_mut().poll(&mut context).is_pending());
        drop(small);
        assert!(room.as_mut().poll(&mut context).is_pending());
        drop(large);
        assert!(room.as_mut().poll(&mut context).is_ready());
    }
}
