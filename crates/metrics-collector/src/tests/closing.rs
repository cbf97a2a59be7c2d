//! Calls in flight, their end by force, and the totals.

use std::{
    pin::pin,
    sync::{Arc, Barrier, mpsc},
    thread,
    time::Duration,
};

use metrics_core::{
    ErrorText, Event, EventSink, Flush, ManualClock, MemorySink, TraceContext, Usage, WorkerId,
};
use tokio::task::yield_now;

use super::{Failed, Worker, poll};
use crate::{
    CallKind, InFlightCall, MetricsCollector, SeenCalls, Totals, carry, llm_call, start_llm_call,
    start_tool_call, tool_call,
};

#[test]
fn closing_ends_each_call_once() {
    let worker = Worker::new("w");
    let mut wrapper = pin!(llm_call("m", "synthesis", async {
        yield_now().await;
        Ok::<_, Failed>(42)
    }));
    let (ended, running) = worker.collector.scope_sync(|| {
        assert!(poll(wrapper.as_mut()).is_pending());
        start_tool_call("before").succeed();
        (
            start_tool_call("ended later"),
            start_tool_call("dropped later"),
        )
    });
    worker.pass_ms(5);
    worker.collector.close(&ErrorText::TIMEOUT);
    assert_eq!(worker.collector.in_flight(), []);
    let at_close = [
        "before 0ms",
        "m/synthesis 5ms: timeout",
        "ended later 5ms: timeout",
        "dropped later 5ms: timeout",
    ];
    let mut seen = worker.seen();
    seen[1..].sort_by_key(|it| at_close.iter().position(|line| line == it));
    assert_eq!(seen, at_close);

    worker.pass_ms(5);
    worker.collector.close(&ErrorText::CANCELLED);
    ended.succeed();
    drop(running);
    let result = worker.collector.scope_sync(|| poll(wrapper));
    assert!(matches!(result, std::task::Poll::Ready(Ok(42))));
    assert_eq!(worker.seen().len(), 4, "nothing more: {:?}", worker.seen());
    assert_eq!(worker.collector.totals().tool_failures, 2);
}

#[test]
fn a_slot_used_again_is_not_ended_by_its_earlier_user() {
    let worker = Worker::new("w");
    worker.collector.scope_sync(|| {
        let old = start_tool_call("old");
        worker.collector.close(&ErrorText::TIMEOUT);
        let new = start_tool_call("new");
        old.succeed();
        assert_eq!(worker.collector.in_flight()[0].name, "new");
        new.succeed();
    });
    assert_eq!(worker.seen(), ["old 0ms: timeout", "new 0ms"]);
}

#[test]
fn a_blocking_thread_that_never_ends_is_closed_too() {
    let worker = Worker::new("w");
    let (started, starts) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    let thread = worker.collector.scope_sync(|| {
        crate::thread_spawn(move || {
            let timer = start_tool_call("stuck");
            started.send(()).unwrap();
            let _ = ends.recv();
            timer.succeed();
        })
    });
    starts.recv().unwrap();
    worker.pass_ms(30_000);
    worker.collector.close(&ErrorText::TIMEOUT);
    assert_eq!(worker.seen(), ["stuck 30000ms: timeout"]);
    drop(end);
    thread.join().unwrap();
    assert_eq!(worker.seen(), ["stuck 30000ms: timeout"]);
}

#[test]
fn a_call_that_ends_as_it_is_closed_is_recorded_once() {
    for _ in 0..50 {
        let worker = Worker::new("w");
        let together = Arc::new(Barrier::new(5));
        let threads: Vec<_> = worker.collector.scope_sync(|| {
            (0..4)
                .map(|_| {
                    let (timer, together) = (start_tool_call("t"), Arc::clone(&together));
                    thread::spawn(move || {
                        together.wait();
                        timer.succeed();
                    })
                })
                .collect()
        });
        together.wait();
        worker.collector.close(&ErrorText::TIMEOUT);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(worker.seen().len(), 4);
    }
}

/// A disk that takes a second an event.
#[derive(Debug)]
struct SlowSink(ManualClock, MemorySink);

impl EventSink for SlowSink {
    fn record(&self, worker: &WorkerId, event: &Event<'_>) {
        self.0.advance(Duration::from_secs(1));
        self.1.record(worker, event);
    }

    fn flush(&self, worker: &WorkerId) -> Flush {
        self.1.flush(worker)
    }
}

#[test]
fn closing_reads_all_ends_before_it_records() {
    let Worker { id, time, .. } = Worker::new("w");
    let sink = Arc::new(SlowSink(time.clone(), MemorySink::default()));
    let collector =
        MetricsCollector::with(id.clone(), sink.clone(), TraceContext::root(), time.clock());
    let _timers = collector.scope_sync(|| [start_tool_call("a"), start_tool_call("b")]);
    time.advance(Duration::from_millis(20));
    collector.close(&ErrorText::TIMEOUT);
    let seen: Vec<_> = sink.1.events(&id).iter().map(super::short).collect();
    assert_eq!(seen, ["a 20ms: timeout", "b 20ms: timeout"]);
}

#[test]
fn calls_in_flight_are_shown_the_oldest_first() {
    let worker = Worker::new("w");
    let start_ts = worker.time.clock().timestamp();
    worker.collector.scope_sync(|| {
        // The slot of a call that ended is used again, so age is not the order of the slots.
        let first = start_tool_call("first");
        worker.pass_ms(1);
        let llm = start_llm_call("m", "initial");
        first.succeed();
        worker.pass_ms(1);
        let tool = start_tool_call("t");
        worker.pass_ms(10);
        let call = |kind, name: &str, started_ms: i64, elapsed_ms| InFlightCall {
            kind,
            name: name.to_owned(),
            phase: if kind == CallKind::Llm { "initial" } else { "" }.to_owned(),
            start_ts: start_ts.plus_micros(started_ms * 1000),
            elapsed: Duration::from_millis(elapsed_ms),
            span_id: None,
        };
        assert_eq!(
            worker.collector.in_flight(),
            [
                call(CallKind::Llm, "m", 1, 11),
                call(CallKind::Tool, "t", 2, 10)
            ]
        );
        llm.succeed();
        tool.succeed();
    });
    assert_eq!(worker.collector.in_flight(), []);
    assert_eq!(worker.collector.elapsed(), Duration::from_millis(12));
}

#[test]
fn slow_calls_are_told_once_until_they_change() {
    let worker = Worker::new("w");
    let limit = Duration::from_millis(50);
    let mut seen = SeenCalls::default();
    let mut look = || {
        let calls = worker.collector.slow_calls(limit, &mut seen)?;
        Some(calls.into_iter().map(|it| it.name).collect::<Vec<_>>())
    };
    assert_eq!(look(), None);
    worker.collector.scope_sync(|| {
        let first = start_tool_call("first");
        worker.pass_ms(49);
        let second = start_tool_call("second");
        assert_eq!(look(), None);
        worker.pass_ms(1);
        assert_eq!(look(), Some(vec!["first".to_owned()]));
        assert_eq!(look(), None);
        worker.pass_ms(49);
        assert_eq!(look(), Some(vec!["first".to_owned(), "second".to_owned()]));
        // The next call takes the slot of the first one, and is another one all the same.
        first.succeed();
        let third = start_tool_call("third");
        worker.pass_ms(50);
        assert_eq!(look(), Some(vec!["second".to_owned(), "third".to_owned()]));
        second.succeed();
        third.succeed();
    });
    assert_eq!(look(), Some(vec![]));
    assert_eq!(look(), None);
    assert!(seen.is_empty());
}

#[test]
fn totals_add_up() {
    let worker = Worker::new("w");
    assert_eq!(worker.collector.totals(), crate::Totals::default());
    worker.collector.scope_sync(|| {
        let mut llm = start_llm_call("m", "initial");
        worker.time.advance(Duration::from_micros(1_500));
        llm.usage(Usage {
            cached_tokens: Some(4),
            ..Usage::new(10, 2)
        });
        llm.succeed();
        let mut llm = start_llm_call("m", "synthesis");
        llm.usage(Usage::new(u64::MAX, 1));
        llm.fail("HTTP 500");
        let (a, b) = (start_tool_call("a"), start_tool_call("b"));
        worker.pass_ms(3);
        a.succeed();
        b.succeed();
        start_tool_call("c").fail("no");
    });
    let totals = worker.collector.totals();
    assert_eq!(
        (totals.llm_calls, totals.llm_failures, totals.llm_us),
        (2, 1, 1_500)
    );
    assert_eq!(
        (totals.tool_calls, totals.tool_failures, totals.tool_us),
        (3, 1, 6_000)
    );
    assert_eq!(totals.events(), 5);
    let usage = Usage {
        prompt_tokens: Some(u64::MAX),
        completion_tokens: Some(3),
        total_tokens: Some(12),
        cached_tokens: Some(4),
        ..Usage::default()
    };
    assert_eq!(totals.usage, usage, "what nobody reported stays unknown");
}

#[test]
fn clones_are_the_same_worker() {
    let worker = Worker::new("w");
    let clone = worker.collector.clone();
    clone
        .scope_sync(|| thread::spawn(carry(|| start_tool_call("t").succeed())).join())
        .unwrap();
    assert_eq!(worker.collector.totals(), clone.totals());
    assert_eq!(worker.collector.totals().tool_calls, 1);
    assert_eq!(clone.worker_id(), worker.collector.worker_id());
}

#[tokio::test]
async fn a_wrapper_in_flight_is_shown() {
    let worker = Worker::new("w");
    let call = tool_call("t", async {
        Ok::<_, Failed>(worker.collector.in_flight()[0].name.clone())
    });
    assert_eq!(worker.collector.scope(call).await.unwrap(), "t");
}

#[test]
fn calls_dropped_after_an_interruption_name_its_reason() {
    let worker = Worker::new("w");
    let mut call = Box::pin(
        tool_call("t", async {
            yield_now().await;
            Ok::<_, Failed>(())
        })
        .tool_call_id("call_1"),
    );
    let timer = worker.collector.scope_sync(|| {
        assert!(poll(call.as_mut()).is_pending());
        start_llm_call("m", "initial")
    });
    worker.collector.interrupt(ErrorText::TIMEOUT);
    drop((call, timer));
    assert_eq!(worker.seen(), ["t 0ms: timeout", "m/initial 0ms: timeout"]);
    let Event::ToolCall(event) = &worker.sink.events(worker.collector.worker_id())[0] else {
        panic!("the first is a tool call");
    };
    assert_eq!(
        event.tool_call_id.as_deref(),
        Some("call_1"),
        "nothing known is lost"
    );
}

#[test]
fn a_call_that_is_named_later_has_its_name_in_flight_and_in_its_event() {
    let worker = Worker::new("w");
    let (mut model, mut tool) = worker.collector.scope_sync(|| {
        let tool = start_tool_call("unknown");
        (start_llm_call("unknown", "chat"), tool)
    });
    model.model("gpt-5-mini");
    tool.tool(String::from("ssh_exec"));
    let in_flight = worker.collector.in_flight().into_iter();
    let mut names: Vec<_> = in_flight.map(|it| it.name).collect();
    names.sort();
    assert_eq!(names, ["gpt-5-mini", "ssh_exec"]);
    model.succeed();
    worker.collector.close(&ErrorText::TIMEOUT);
    tool.tool("too late");
    drop(tool);
    assert_eq!(
        worker.seen(),
        ["gpt-5-mini/chat 0ms", "ssh_exec 0ms: timeout"]
    );
}

#[test]
fn a_discarded_call_was_none() {
    let worker = Worker::new("w");
    worker.collector.scope_sync(|| {
        start_llm_call("m", "chat").discard();
        start_tool_call("t").discard();
    });
    assert_eq!(worker.collector.in_flight(), []);
    assert_eq!(worker.collector.totals(), Totals::default());
    assert!(worker.seen().is_empty());
}

#[test]
fn an_interrupted_worker_says_why() {
    let worker = Worker::new("w");
    assert_eq!(worker.collector.interrupted(), None);
    worker.collector.interrupt(ErrorText::TIMEOUT);
    assert_eq!(worker.collector.interrupted(), Some(ErrorText::TIMEOUT));
}
