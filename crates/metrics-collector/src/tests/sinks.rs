//! Sinks and subscribers that misbehave, and losses that are said.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use metrics_core::{
    Event, EventSink, Flush, FlushPromise, MemorySink, SinkError, ToolCall, WorkerId,
};
use tracing::Subscriber;
use tracing_subscriber::{Layer, layer};

use super::{Failed, Worker, hear, subscribe};
use crate::{MetricsCollector, start_tool_call, tool_call};

/// Panics at its first call, and keeps what comes later.
#[derive(Debug, Default)]
struct Shaky {
    calls: AtomicU32,
    kept: MemorySink,
}

impl EventSink for Shaky {
    fn record(&self, worker: &WorkerId, event: &Event<'_>) {
        assert!(self.calls.fetch_add(1, Ordering::Relaxed) > 0, "in a sink");
        self.kept.record(worker, event);
    }

    fn flush(&self, worker: &WorkerId) -> Flush {
        self.kept.flush(worker)
    }
}

fn lost<T>(lost: u64, reason: &str) -> Result<T, SinkError> {
    Err(SinkError::Lost {
        lost,
        reason: reason.to_owned(),
    })
}

#[tokio::test]
async fn a_sink_that_panics_once_loses_one_event_and_says_so_once() {
    let (heard, sink) = (hear(), Arc::new(Shaky::default()));
    let collector = MetricsCollector::new("w", sink.clone());
    let body = async {
        for name in ["first", "second", "third"] {
            let result = tool_call(name, async { Ok::<_, Failed>(name) }).await;
            assert_eq!(result.unwrap(), name);
        }
    };
    collector.scope(body).await;
    let kept: Vec<_> = sink.kept.events(&WorkerId::from("w"));
    let names: Vec<_> = kept
        .iter()
        .map(|event| match event {
            Event::ToolCall(ToolCall { tool, .. }) => tool.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, ["second", "third"]);
    assert_eq!(collector.totals().tool_calls, 3, "recorded is not kept");
    assert_eq!(collector.flush().await, lost(1, "the sink panicked"));
    assert_eq!(
        collector.flush_wait(Duration::ZERO),
        lost(1, "the sink panicked")
    );
    let lines = heard.lines();
    assert_eq!(lines.len(), 4, "three calls and one loss: {lines:#?}");
    insta::assert_snapshot!(lines[3], @r#"WARN message=events_lost lost=1 worker_id="w" event="events_lost""#);
}

#[test]
fn a_sink_that_panics_while_a_panic_unwinds_does_not_abort() {
    let collector = MetricsCollector::new("w", Arc::new(Shaky::default()));
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        collector.scope_sync(|| {
            let _timer = start_tool_call("t");
            panic!("in the worker");
        });
    }));
    assert_eq!(
        panicked.unwrap_err().downcast_ref(),
        Some(&"in the worker"),
        "the worker's own panic goes on"
    );
    assert_eq!(
        collector.flush_wait(Duration::ZERO),
        lost(1, "the sink panicked")
    );
}

/// Keeps nothing and answers when it is told to.
#[derive(Debug, Default)]
struct Scripted(Mutex<Vec<FlushPromise>>);

impl EventSink for Scripted {
    fn record(&self, _: &WorkerId, _: &Event<'_>) {
        panic!("in a sink");
    }

    fn flush(&self, _: &WorkerId) -> Flush {
        let (promise, flush) = Flush::pending();
        self.0.lock().unwrap().push(promise);
        flush
    }
}

#[tokio::test]
async fn a_loss_is_said_once_however_the_answers_arrive() {
    let (heard, sink) = (hear(), Arc::new(Scripted::default()));
    let collector = MetricsCollector::new("w", sink.clone());
    let answer = |result| sink.0.lock().unwrap().remove(0).resolve(result);
    let (first, second) = (collector.flush(), collector.flush());
    answer(lost(3, "disk full"));
    answer(lost(5, "disk full"));
    assert_eq!(second.await, lost(5, "disk full"));
    assert_eq!(first.await, lost(3, "disk full"), "an older answer");

    // The sink's own panics come on top, and are said even if it does not answer.
    let quiet = MetricsCollector::new("quiet", sink.clone());
    for collector in [&collector, &quiet] {
        collector.scope_sync(|| start_tool_call("t").succeed());
        assert_eq!(
            collector.flush_wait(Duration::ZERO),
            Err(SinkError::Timeout(Duration::ZERO))
        );
    }
    sink.0.lock().unwrap().clear();
    let next = collector.flush();
    answer(lost(5, "disk full"));
    assert_eq!(next.await, lost(6, "disk full"));
    let closed = collector.flush();
    sink.0.lock().unwrap().clear();
    assert_eq!(closed.await, Err(SinkError::Closed));

    let losses: Vec<_> = heard
        .lines()
        .into_iter()
        .filter(|line| line.contains("events_lost"))
        .collect();
    insta::assert_snapshot!(losses.join("\n"), @r#"
    WARN message=events_lost lost=5 worker_id="w" event="events_lost"
    WARN message=events_lost lost=1 worker_id="quiet" event="events_lost"
    WARN message=events_lost lost=1 worker_id="w" event="events_lost"
    "#);
}

#[test]
fn a_sink_that_panics_in_flush_counts_as_closed() {
    #[derive(Debug)]
    struct NeverFlushes;
    impl EventSink for NeverFlushes {
        fn record(&self, _: &WorkerId, _: &Event<'_>) {}

        fn flush(&self, _: &WorkerId) -> Flush {
            panic!("in flush")
        }
    }
    let collector = MetricsCollector::new("w", Arc::new(NeverFlushes));
    assert_eq!(collector.flush_wait(Duration::ZERO), Err(SinkError::Closed));
}

#[tokio::test]
async fn a_subscriber_that_panics_harms_neither_worker_nor_file() {
    struct Panics;
    impl<S: Subscriber> Layer<S> for Panics {
        fn on_event(&self, _: &tracing::Event<'_>, _: layer::Context<'_, S>) {
            panic!("in a subscriber");
        }
    }
    let worker = Worker::new("w");
    let guard = subscribe(Panics);
    let call = tool_call("t", async { Ok::<_, Failed>(42) });
    assert_eq!(worker.collector.scope(call).await.unwrap(), 42);
    drop(guard);
    assert_eq!(worker.seen(), ["t 0ms"]);
    assert_eq!(worker.collector.flush().await, Ok(()));
}

/// Asks the collector about everything while it is called.
#[derive(Debug)]
struct Curious(Mutex<Vec<(u64, usize)>>);

impl EventSink for Curious {
    fn record(&self, _: &WorkerId, _: &Event<'_>) {
        let collector = MetricsCollector::current().unwrap();
        let seen = (collector.totals().events(), collector.in_flight().len());
        let _child = MetricsCollector::child_trace();
        self.0.lock().unwrap().push(seen);
    }

    fn flush(&self, _: &WorkerId) -> Flush {
        Flush::ready(Ok(()))
    }
}

#[test]
fn a_sink_may_ask_the_collector() {
    let sink = Arc::new(Curious(Mutex::default()));
    let collector = MetricsCollector::new("w", sink.clone());
    collector.scope_sync(|| {
        let outer = start_tool_call("outer");
        start_tool_call("inner").succeed();
        outer.succeed();
    });
    assert_eq!(*sink.0.lock().unwrap(), [(1, 1), (2, 0)]);
}

/// Says when an event has come, keeps it when it is told to, and says so again.
#[derive(Debug)]
struct Stuck {
    says: Mutex<mpsc::Sender<&'static str>>,
    go_on: Mutex<mpsc::Receiver<()>>,
    kept: MemorySink,
}

impl EventSink for Stuck {
    fn record(&self, worker: &WorkerId, event: &Event<'_>) {
        let says = self.says.lock().unwrap();
        says.send("come").unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
        self.kept.record(worker, event);
        says.send("kept").unwrap();
    }

    fn flush(&self, worker: &WorkerId) -> Flush {
        self.kept.flush(worker)
    }
}

#[test]
fn a_runtime_shut_down_in_mid_record_loses_nothing() {
    let ((says, said), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    let sink = Arc::new(Stuck {
        says: Mutex::new(says),
        go_on: Mutex::new(go_on),
        kept: MemorySink::default(),
    });
    let said = || said.recv_timeout(Duration::from_mins(1)).unwrap();
    let collector = MetricsCollector::new("w", sink.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    runtime.spawn(collector.scope(async {
        tool_call("first", async { Ok::<_, Failed>(()) }).await?;
        tool_call("second", std::future::pending::<Result<(), Failed>>()).await
    }));
    assert_eq!(said(), "come");
    runtime.shutdown_background();
    go.send(()).unwrap();
    assert_eq!(said(), "kept");
    // The task began its second call, and is dropped in it.
    assert_eq!(said(), "come");
    go.send(()).unwrap();
    assert_eq!(said(), "kept");
    let kept = sink.kept.events(&WorkerId::from("w"));
    let errors: Vec<_> = kept.iter().map(|it| it.outcome().error()).collect();
    assert_eq!(errors, [None, Some("cancelled")]);
}

#[test]
fn a_sink_that_panics_as_it_is_dropped_or_throws_what_panics_harms_nobody() {
    #[derive(Debug)]
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "as it is dropped");
        }
    }
    impl EventSink for Bomb {
        fn record(&self, _: &WorkerId, _: &Event<'_>) {
            std::panic::panic_any(Bomb);
        }

        fn flush(&self, _: &WorkerId) -> Flush {
            Flush::ready(Ok(()))
        }
    }
    let collector = MetricsCollector::new("w", Arc::new(Bomb));
    collector.scope_sync(|| start_tool_call("t").succeed());
    assert_eq!(
        collector.flush_wait(Duration::ZERO),
        lost(1, "the sink panicked")
    );
    drop(collector);
}
