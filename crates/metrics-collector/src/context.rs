//! Which scope the running code is in: one slot a thread, swapped in around every poll.
//!
//! Needs no runtime: whoever polls the future, on whichever thread, finds the scope in place.

use std::{
    cell::RefCell,
    future::Future,
    pin::Pin,
    task::{Context as TaskContext, Poll},
};

use futures_core::Stream;
use pin_project_lite::pin_project;

use crate::collector::{CallKey, MetricsCollector};

/// What the running code belongs to.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) collector: MetricsCollector,
    /// The call it runs for, where it runs inside one of our wrappers.
    pub(crate) call: Option<CallKey>,
    /// A second handle for the next timer: most calls end where they began, and lend it instead of counting handles.
    spare: Option<MetricsCollector>,
}

impl Context {
    pub(crate) fn new(collector: MetricsCollector, call: Option<CallKey>) -> Self {
        Self {
            collector,
            call,
            spare: None,
        }
    }
}

impl Clone for Context {
    fn clone(&self) -> Self {
        Self::new(self.collector.clone(), self.call)
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Context>> = const { RefCell::new(None) };
}

/// Looks at the current context; `None` where there is none, as while a thread ends.
#[inline]
pub(crate) fn with<T>(look: impl FnOnce(&Context) -> T) -> Option<T> {
    CURRENT
        .try_with(|current| current.try_borrow().ok()?.as_ref().map(look))
        .ok()
        .flatten()
}

/// Whether the running code is outside any scope.
#[inline]
pub(crate) fn is_none() -> bool {
    with(|_| ()).is_none()
}

/// The collector of the current context, to be given back with [`give_back`].
#[inline]
pub(crate) fn lend_collector() -> Option<MetricsCollector> {
    CURRENT
        .try_with(|current| {
            let mut current = current.try_borrow_mut().ok()?;
            let context = current.as_mut()?;
            let spare = context.spare.take();
            Some(spare.unwrap_or_else(|| context.collector.clone()))
        })
        .ok()
        .flatten()
}

/// Keeps a collector for the next to lend it, if it is still the current one.
#[inline]
pub(crate) fn give_back(collector: MetricsCollector) {
    let mut given = Some(collector);
    // What is left is dropped outside the borrow: a sink that goes with it may record.
    let _ = CURRENT.try_with(|current| {
        if let Ok(mut current) = current.try_borrow_mut()
            && let Some(context) = current.as_mut()
            && given
                .as_ref()
                .is_some_and(|it| it.is_same(&context.collector))
            && context.spare.is_none()
        {
            context.spare = given.take();
        }
    });
}

pub(crate) fn current() -> Option<Context> {
    with(Context::clone)
}

/// Puts `slot` in place while `body` runs, also when it panics.
pub(crate) fn enter<T>(slot: &mut Option<Context>, body: impl FnOnce() -> T) -> T {
    struct Restore<'a>(&'a mut Option<Context>);
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            swap(self.0);
        }
    }
    swap(slot);
    let _restore = Restore(slot);
    body()
}

fn swap(slot: &mut Option<Context>) {
    // Nothing holds a borrow while other code runs, so this fails only while the thread ends.
    let _ = CURRENT.try_with(|current| {
        if let Ok(mut current) = current.try_borrow_mut() {
            std::mem::swap(&mut *current, slot);
        }
    });
}

pin_project! {
    /// A future or a stream inside a scope; made by [`MetricsCollector::scope`] and [`MetricsCollector::scope_stream`].
    #[derive(Debug)]
    #[must_use = "futures and streams do nothing unless polled"]
    pub struct Scope<F> {
        // `None` only once it is dropped.
        #[pin]
        inner: Option<F>,
        context: Option<Context>,
    }

    impl<F> PinnedDrop for Scope<F> {
        fn drop(this: Pin<&mut Self>) {
            // What it drops may record, so it is dropped inside its scope.
            let mut this = this.project();
            enter(this.context, || this.inner.set(None));
        }
    }
}

impl<F> Scope<F> {
    pub(crate) fn new(inner: F, context: Option<Context>) -> Self {
        Self {
            inner: Some(inner),
            context,
        }
    }
}

impl<F: Future> Future for Scope<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.inner.as_pin_mut() else {
            return Poll::Pending;
        };
        enter(this.context, || future.poll(task))
    }
}

impl<S: Stream> Stream for Scope<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(stream) = this.inner.as_pin_mut() else {
            return Poll::Ready(None);
        };
        enter(this.context, || stream.poll_next(task))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.as_ref().map_or((0, Some(0)), S::size_hint)
    }
}

/// A future or a stream that keeps the scope it was made in; see [`InScope::in_current_scope`].
pub type InCurrentScope<F> = Scope<F>;

/// Carries the current scope along with a future or a stream that another task will poll.
pub trait InScope: Sized {
    /// This future or stream, inside the scope that is current now, whoever polls it. Made outside a scope it stays
    /// outside: polled in somebody's scope it records nothing there.
    ///
    /// ```
    /// # use metrics_collector::InScope;
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// tokio::spawn(async { /* what is recorded here belongs to the current worker */ }.in_current_scope()).await
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn in_current_scope(self) -> InCurrentScope<Self> {
        Scope::new(self, current())
    }
}

/// For every type, as no type can be told to be a future or a stream; what comes of it is one only if this is one.
impl<F> InScope for F {}

/// Carries the current scope along with a closure that another thread will call.
///
/// Made outside a scope it stays outside, as [`InScope::in_current_scope`] does.
pub fn carry<T>(body: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let mut context = current();
    move || enter(&mut context, body)
}
