//! Where a scope holds, and where it does not.

use std::{
    future::pending,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, Barrier},
    thread,
};

use metrics_core::{CallTime, LlmCall, Timestamp, ToolCall};
use tokio::task::yield_now;

use super::{Failed, Worker, poll};
use crate::{
    InScope as _, MetricsCollector, carry, current_worker_id, llm_call, record_llm_call,
    record_tool_call, start_llm_call, start_tool_call, tool_call,
};

/// Records a tool call of this name in whatever scope is current.
fn note(tool: &str) {
    start_tool_call(tool).succeed();
}

#[tokio::test]
async fn a_scope_takes_what_runs_in_it() {
    let worker = Worker::new("w");
    let answer = worker.collector.scope(async {
        yield_now().await;
        note("async");
        assert_eq!(current_worker_id(), Some(worker.id.clone()));
        42
    });
    assert_eq!(answer.await, 42);
    assert_eq!(worker.collector.scope_sync(|| note("sync")), ());
    assert_eq!(worker.seen(), ["async 0ms", "sync 0ms"]);
    assert_eq!(current_worker_id(), None);
}

#[tokio::test]
async fn outside_a_scope_nothing_is_recorded_and_everything_works() {
    let worker = Worker::new("w");
    assert!(MetricsCollector::current().is_none());
    let time = CallTime::new(Timestamp::UNIX_EPOCH, std::time::Duration::ZERO);
    record_llm_call(LlmCall::new("initial", "m", time));
    record_tool_call(ToolCall::new("t", time));
    start_llm_call("m", "initial").fail("no");
    start_tool_call("t").succeed();
    drop(start_tool_call("t"));
    assert_eq!(
        tool_call("t", async { Ok::<_, Failed>(1) }).await.ok(),
        Some(1)
    );
    let failed = llm_call("m", "initial", async { Err::<(), _>(Failed("no")) }).await;
    assert_eq!(failed.unwrap_err().0, "no");

    // A call that began outside belongs to nobody, whoever ends it.
    let timer = start_tool_call("t");
    let mut wrapper = pin!(tool_call("t", async {
        yield_now().await;
        Ok::<_, Failed>(())
    }));
    assert!(poll(wrapper.as_mut()).is_pending());
    worker.collector.scope_sync(|| {
        timer.succeed();
        assert!(poll(wrapper).is_ready());
    });
    assert_eq!(worker.seen(), [""; 0]);
    assert_eq!(worker.collector.totals().events(), 0);
}

#[tokio::test]
async fn two_scopes_take_turns_in_one_task() {
    let (a, b) = (Worker::new("a"), Worker::new("b"));
    let work = |name: &'static str| async move {
        for _ in 0..3 {
            let timer = start_tool_call(name);
            yield_now().await;
            timer.succeed();
        }
    };
    tokio::join!(a.collector.scope(work("a")), b.collector.scope(work("b")));
    assert_eq!(a.seen(), ["a 0ms"; 3]);
    assert_eq!(b.seen(), ["b 0ms"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_tasks_at_once_never_see_each_others_events() {
    const TASKS: usize = 100;
    let all_in_flight = Arc::new(tokio::sync::Barrier::new(TASKS));
    let tasks: Vec<_> = (0..TASKS)
        .map(|n| {
            let all_in_flight = Arc::clone(&all_in_flight);
            tokio::spawn(async move {
                let (worker, name) = (Worker::new(&n.to_string()), format!("t{n}"));
                let body = async {
                    let timer = start_tool_call(&*name);
                    all_in_flight.wait().await;
                    for _ in 0..20 {
                        yield_now().await;
                        note(&name);
                    }
                    let call = tool_call(&*name, async {
                        yield_now().await;
                        note(&name);
                        Ok::<_, Failed>(())
                    });
                    call.await.unwrap();
                    timer.succeed();
                };
                worker.collector.scope(body).await;
                assert_eq!(worker.seen(), vec![format!("{name} 0ms"); 23]);
                assert_eq!(current_worker_id(), None);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[cfg(feature = "tokio")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_helpers_carry_the_scope_out_of_the_task() {
    let worker = Worker::new("w");
    let body = async {
        crate::spawn(async {
            yield_now().await;
            note("spawn");
        })
        .await?;
        crate::spawn_blocking(|| note("spawn_blocking")).await?;
        tokio::spawn(async { note("in_current_scope") }.in_current_scope()).await?;
        tokio::spawn(async { note("lost: a plain spawn") }).await?;
        tokio::task::spawn_blocking(|| note("lost: a plain spawn_blocking")).await
    };
    worker.collector.scope(body).await.unwrap();
    assert_eq!(
        worker.seen(),
        ["spawn 0ms", "spawn_blocking 0ms", "in_current_scope 0ms"]
    );
}

#[test]
fn threads_take_the_scope_along() {
    let worker = Worker::new("w");
    worker.collector.scope_sync(|| {
        crate::thread_spawn(|| note("thread_spawn")).join().unwrap();
        thread::spawn(carry(|| note("carry"))).join().unwrap();
        thread::scope(|scope| scope.spawn(carry(|| note("scoped"))).join().unwrap());
        thread::spawn(|| note("lost: a plain thread"))
            .join()
            .unwrap();
    });
    assert_eq!(
        worker.seen(),
        ["thread_spawn 0ms", "carry 0ms", "scoped 0ms"]
    );
}

#[test]
fn what_was_carried_keeps_its_scope_inside_another() {
    let (a, b) = (Worker::new("a"), Worker::new("b"));
    let (closure, future) = a.collector.scope_sync(|| {
        (
            carry(|| note("carry")),
            async { note("future") }.in_current_scope(),
        )
    });
    b.collector.scope_sync(|| {
        closure();
        assert!(poll(pin!(future)).is_ready());
        note("b");
    });
    assert_eq!(a.seen(), ["carry 0ms", "future 0ms"]);
    assert_eq!(b.seen(), ["b 0ms"]);
}

#[test]
fn what_was_carried_from_outside_stays_outside() {
    let worker = Worker::new("w");
    let (closure, future) = (
        carry(|| note("carry")),
        async { note("future") }.in_current_scope(),
    );
    worker.collector.scope_sync(|| {
        closure();
        assert!(poll(pin!(future)).is_ready());
        note("inside");
    });
    assert_eq!(worker.seen(), ["inside 0ms"]);
}

#[test]
fn a_panic_leaves_the_scope() {
    let worker = Worker::new("w");
    let sync = catch_unwind(AssertUnwindSafe(|| {
        worker.collector.scope_sync(|| panic!("in the scope"));
    }));
    assert!(sync.is_err());
    assert_eq!(current_worker_id(), None);
    let polled = catch_unwind(AssertUnwindSafe(|| {
        poll(pin!(
            worker.collector.scope(async { panic!("in the scope") })
        ))
    }));
    assert!(polled.is_err());
    assert_eq!(current_worker_id(), None);
}

/// Records as it is dropped, as a guard that cleans up with a tool does.
struct NotesWhenDropped(&'static str);

impl Drop for NotesWhenDropped {
    fn drop(&mut self) {
        note(self.0);
    }
}

#[test]
fn what_a_dropped_future_records_belongs_to_its_scope() {
    let worker = Worker::new("w");
    let unpolled = NotesWhenDropped("unpolled");
    drop(worker.collector.scope(async move {
        let _unpolled = unpolled;
    }));
    let mut polled = Box::pin(worker.collector.scope(async {
        let _guard = NotesWhenDropped("polled");
        pending::<()>().await;
    }));
    assert!(poll(polled.as_mut()).is_pending());
    assert_eq!(worker.seen(), ["unpolled 0ms"]);
    drop(polled);
    assert_eq!(worker.seen(), ["unpolled 0ms", "polled 0ms"]);
    assert_eq!(current_worker_id(), None);
}

#[test]
fn a_runtime_shut_down_in_mid_call_cancels_the_call() {
    let worker = Worker::new("w");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let in_flight = Arc::new(Barrier::new(2));
    let there = Arc::clone(&in_flight);
    runtime.spawn(worker.collector.scope(async move {
        let _guard = NotesWhenDropped("guard");
        let call = tool_call("t", async {
            there.wait();
            pending::<Result<(), Failed>>().await
        });
        call.await
    }));
    in_flight.wait();
    drop(runtime);
    assert_eq!(worker.seen(), ["t 0ms: cancelled", "guard 0ms"]);
}

#[test]
fn a_thread_that_records_while_the_scope_ends_loses_nothing() {
    for _ in 0..200 {
        let worker = Worker::new("w");
        let together = Arc::new(Barrier::new(2));
        let thread = worker.collector.scope_sync(|| {
            let together = Arc::clone(&together);
            crate::thread_spawn(move || {
                note("before");
                together.wait();
                for _ in 0..20 {
                    note("while it ends");
                }
            })
        });
        let scope = worker.collector.scope(pending::<()>());
        let mut scope = Box::pin(scope);
        assert!(poll(scope.as_mut()).is_pending());
        together.wait();
        drop(scope);
        worker.collector.close(&metrics_core::ErrorText::CANCELLED);
        thread.join().unwrap();
        // A call that was closed in mid-flight is an event all the same.
        assert_eq!(worker.events().len(), 21);
        assert_eq!(worker.collector.totals().tool_calls, 21);
        assert_eq!(worker.collector.in_flight(), []);
    }
}

#[test]
fn a_panic_in_a_drop_leaves_the_scope_and_keeps_the_calls() {
    struct PanicsWhenDropped;
    impl Drop for PanicsWhenDropped {
        fn drop(&mut self) {
            let _call = start_tool_call("in a drop");
            panic!("in a drop");
        }
    }
    let worker = Worker::new("w");
    let mut scope = Box::pin(worker.collector.scope(async {
        let _guard = PanicsWhenDropped;
        tool_call("t", pending::<Result<(), Failed>>()).await
    }));
    assert!(poll(scope.as_mut()).is_pending());
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(scope)));
    assert_eq!(dropped.unwrap_err().downcast_ref(), Some(&"in a drop"));
    assert_eq!(current_worker_id(), None);
    assert_eq!(
        worker.seen(),
        ["t 0ms: cancelled", "in a drop 0ms: panicked"]
    );
}

#[test]
fn handles_lent_to_timers_come_back_to_their_own_scope_or_go() {
    let (a, b) = (Worker::new("a"), Worker::new("b"));
    let handles = |worker: &Worker| Arc::strong_count(&worker.collector.0);
    let (before_a, before_b) = (handles(&a), handles(&b));
    let from_a = a.collector.scope_sync(|| {
        note("a");
        // One for the scope, one spare.
        assert_eq!(handles(&a), before_a + 2);
        let [first, second] = [start_tool_call("first"), start_tool_call("second")];
        assert_eq!(handles(&a), before_a + 3);
        first.succeed();
        second
    });
    assert_eq!(handles(&a), before_a + 1);
    b.collector.scope_sync(|| {
        from_a.succeed();
        note("b");
    });
    assert_eq!((handles(&a), handles(&b)), (before_a, before_b));
    assert_eq!(a.seen(), ["a 0ms", "first 0ms", "second 0ms"]);
    assert_eq!(b.seen(), ["b 0ms"]);
}
