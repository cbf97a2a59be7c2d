//! A scope leaves nothing behind: memory after a hundred thousand of them is what it was before. One test, as it counts
//! the bytes of the whole process.
#![expect(unsafe_code, reason = "only an allocator sees every allocation")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicIsize, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use metrics_collector::{
    InScope as _, MetricsCollector, carry, llm_call, start_llm_call, start_tool_call, tool_call,
};
use metrics_core::{ErrorText, Event, EventSink, Flush, Phase, Usage, WorkerId};

static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size().cast_signed(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Counts events and keeps none.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl EventSink for Count {
    fn record(&self, _: &WorkerId, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn flush(&self, _: &WorkerId) -> Flush {
        Flush::ready(Ok(()))
    }
}

fn poll<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A worker with a call of every kind and every end, a nested worker, and what leaves the task.
fn live_and_end(sink: &Arc<Count>, number: u32) {
    let collector = MetricsCollector::new(format!("worker-{number}"), sink.clone());
    let left_running = collector.scope_sync(|| {
        let mut timer = start_llm_call("m", Phase::INITIAL);
        timer.usage(Usage::new(1234, 89));
        timer.succeed();
        start_tool_call(format!("tool {number}")).fail("exit status 1");
        drop(start_tool_call("dropped"));
        carry(|| start_tool_call("carried").succeed())();
        start_tool_call("left running")
    });
    let body = async {
        let reply = llm_call("m", "initial", async { Ok::<_, String>(number) });
        let _ = reply.usage(|_| Usage::new(1, 1)).await;
        let _ = tool_call("nests", async {
            let inner = MetricsCollector::new("inner", sink.clone());
            let calls = inner.scope(async { start_tool_call("inner").succeed() });
            calls.in_current_scope().await;
            Err::<(), _>("no")
        })
        .await;
        tool_call("never ends", pending::<Result<(), String>>()).await
    };
    assert!(poll(collector.scope(body)).is_pending());
    collector.close(&ErrorText::TIMEOUT);
    left_running.succeed();
    assert!(poll(collector.flush()).is_ready());
}

const EVENTS: u64 = 9;

#[test]
fn a_hundred_thousand_scopes_leave_no_byte_behind() {
    let sink = Arc::new(Count::default());
    let live = |scopes| {
        for number in 0..scopes {
            live_and_end(&sink, number);
        }
        LIVE.load(Ordering::Relaxed)
    };
    let before = live(1000);
    let after = live(100_000);
    assert_eq!(sink.0.load(Ordering::Relaxed), 101_000 * EVENTS);
    // What the test harness does meanwhile is no byte a scope.
    assert!(
        (after - before).abs() < 10_000,
        "{before} before, {after} after"
    );
}
