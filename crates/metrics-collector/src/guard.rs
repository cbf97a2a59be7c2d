//! Runs what somebody else wrote and the worker must not notice, even if it panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `body` answers; `None` if it panicked.
pub(crate) fn guarded<T>(body: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body))
        .map_err(std::mem::forget) // Its drop is foreign code too, and may panic.
        .ok()
}
