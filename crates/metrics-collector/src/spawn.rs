//! Starting tasks and threads inside the current scope.

use std::thread;

use crate::context::carry;

/// `tokio::spawn`, inside the current scope.
///
/// # Panics
/// Like `tokio::spawn`, outside a runtime.
#[cfg(feature = "tokio")]
pub fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    use crate::context::InScope as _;
    tokio::spawn(future.in_current_scope())
}

/// `tokio::task::spawn_blocking`, inside the current scope.
///
/// # Panics
/// Like `tokio::task::spawn_blocking`, outside a runtime.
#[cfg(feature = "tokio")]
pub fn spawn_blocking<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::task::spawn_blocking(carry_send(body))
}

/// `std::thread::spawn`, inside the current scope.
pub fn thread_spawn<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::spawn(carry_send(body))
}

fn carry_send<T: 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> impl FnOnce() -> T + Send + 'static {
    carry(body)
}
