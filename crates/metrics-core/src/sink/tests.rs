//! What waits for a flush sees, however it waits.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Barrier, Mutex},
    task::{Context, Poll, Wake, Waker},
    thread,
    time::Duration,
};

use super::{Flush, FlushPromise, SinkError};

fn poll(flush: &mut Flush, waker: &Waker) -> Poll<Result<(), SinkError>> {
    Pin::new(flush).poll(&mut Context::from_waker(waker))
}

#[test]
fn the_answer_reaches_a_future_and_a_blocking_caller() {
    let error = SinkError::Lost {
        lost: 12,
        reason: "disk full".into(),
    };
    insta::assert_snapshot!(error, @"12 events lost (disk full)");
    let lost = Err(error);
    let (promise, mut flush) = Flush::pending();
    assert_eq!(poll(&mut flush, Waker::noop()), Poll::Pending);
    promise.resolve(lost.clone());
    assert_eq!(poll(&mut flush, Waker::noop()), Poll::Ready(lost.clone()));

    let (promise, flush) = Flush::pending();
    let (here, there) = (Arc::new(Barrier::new(2)), lost.clone());
    let resolver = thread::spawn({
        let here = Arc::clone(&here);
        move || {
            here.wait();
            promise.resolve(there);
        }
    });
    here.wait();
    assert_eq!(flush.wait(Duration::MAX), lost);
    resolver.join().unwrap();
}

#[test]
fn a_sink_that_goes_away_or_stalls_keeps_nobody_waiting() {
    let (promise, flush) = Flush::pending();
    drop(promise);
    assert_eq!(flush.wait(Duration::MAX), Err(SinkError::Closed));
    let (_promise, flush) = Flush::pending();
    assert_eq!(
        flush.wait(Duration::ZERO),
        Err(SinkError::Timeout(Duration::ZERO))
    );
    assert_eq!(Flush::ready(Ok(())).wait(Duration::ZERO), Ok(()));
}

#[test]
fn a_waker_that_owns_the_promise_may_be_replaced() {
    struct Owner(#[expect(dead_code, reason = "only dropped")] Mutex<Option<FlushPromise>>);
    impl Wake for Owner {
        fn wake(self: Arc<Self>) {}
    }
    // On a thread of its own: a deadlock shows as no answer.
    let (done, answer) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let (promise, mut flush) = Flush::pending();
        let owner = Waker::from(Arc::new(Owner(Mutex::new(Some(promise)))));
        assert_eq!(poll(&mut flush, &owner), Poll::Pending);
        drop(owner);
        assert_eq!(poll(&mut flush, Waker::noop()), Poll::Pending);
        let _ = done.send(flush.wait(Duration::ZERO));
    });
    assert_eq!(
        answer.recv_timeout(Duration::from_secs(10)),
        Ok(Err(SinkError::Closed))
    );
}
