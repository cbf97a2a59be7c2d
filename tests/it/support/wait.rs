//! Waiting for what another thread or process does: asked again and again, and given up on late.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Only a test that fails waits this long.
pub(super) const DEADLINE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until there is an answer; `what` is what the test would wait for in vain.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "{what}: not within {DEADLINE:?}"
        );
        thread::sleep(PAUSE);
    }
}

/// The same where other tasks of this thread must go on meanwhile.
pub(crate) async fn eventually_async<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "{what}: not within {DEADLINE:?}"
        );
        tokio::time::sleep(PAUSE).await;
    }
}
