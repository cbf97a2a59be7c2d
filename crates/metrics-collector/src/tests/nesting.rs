//! Workers inside workers, and how their traces link.

use std::sync::Arc;

use metrics_core::{Event, MemorySink, SpanId, TraceContext};

use super::{Failed, Worker};
use crate::{CallKind, MetricsCollector, current_call, llm_call, start_tool_call, tool_call};

fn inner_worker() -> MetricsCollector {
    MetricsCollector::new("inner", Arc::new(MemorySink::default()))
}

fn span_ids(events: &[Event<'_>]) -> Vec<Option<SpanId>> {
    events
        .iter()
        .map(|event| match event {
            Event::ToolCall(call) => {
                assert_eq!(call.trace.trace_id, None, "stands in the metadata");
                assert_eq!(call.trace.parent_span_id, None, "stands in the metadata");
                call.trace.span_id
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn an_inner_worker_keeps_its_events() {
    let (outer, inner) = (Worker::new("outer"), Worker::new("inner"));
    let body = async {
        start_tool_call("before").succeed();
        inner
            .collector
            .scope(async {
                tokio::task::yield_now().await;
                start_tool_call("inside").succeed();
            })
            .await;
        inner
            .collector
            .scope_sync(|| start_tool_call("inside, sync").succeed());
        start_tool_call("after").succeed();
    };
    outer.collector.scope(body).await;
    assert_eq!(outer.seen(), ["before 0ms", "after 0ms"]);
    assert_eq!(inner.seen(), ["inside 0ms", "inside, sync 0ms"]);
}

#[test]
fn a_worker_made_outside_begins_a_trace() {
    let (one, two) = (inner_worker().trace(), inner_worker().trace());
    assert_eq!(one.parent_span_id, None);
    assert_ne!(one.trace_id, two.trace_id);
    assert_ne!(one.span_id, two.span_id);
}

#[test]
fn a_worker_made_inside_a_scope_is_its_child() {
    let outer = Worker::new("outer");
    let (inner, innermost) = outer.collector.scope_sync(|| {
        // A timer does not say which code it times, so it is nobody's parent.
        let timer = start_tool_call("timed");
        let inner = inner_worker();
        timer.succeed();
        let innermost = inner.scope_sync(inner_worker);
        (inner.trace(), innermost.trace())
    });
    let root = outer.collector.trace();
    assert_eq!(inner.trace_id, root.trace_id);
    assert_eq!(inner.parent_span_id, Some(root.span_id));
    assert_ne!(inner.span_id, root.span_id);
    assert_eq!(innermost.trace_id, root.trace_id);
    assert_eq!(innermost.parent_span_id, Some(inner.span_id));
    assert_eq!(span_ids(&outer.events()), [None]);
}

#[tokio::test]
async fn a_worker_made_inside_a_call_is_the_calls_child() {
    let outer = Worker::new("outer");
    let call = tool_call("spawn_worker", async {
        tokio::task::yield_now().await;
        let (one, two) = (inner_worker().trace(), MetricsCollector::child_trace());
        assert_eq!(one.parent_span_id, two.parent_span_id);
        assert_ne!(one.span_id, two.span_id);
        let told = outer.collector.in_flight()[0].span_id;
        assert_eq!(
            told, one.parent_span_id,
            "so a dead worker's call still links"
        );
        Ok::<TraceContext, Failed>(one)
    });
    let plain = tool_call("ssh_exec", async { Ok::<_, Failed>(()) });
    let inner = outer
        .collector
        .scope(async {
            plain.await.unwrap();
            call.await.unwrap()
        })
        .await;
    let root = outer.collector.trace();
    assert_eq!(inner.trace_id, root.trace_id);
    assert!(inner.parent_span_id.is_some());
    assert_ne!(inner.parent_span_id, Some(root.span_id));
    assert_eq!(span_ids(&outer.events()), [None, inner.parent_span_id]);
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn a_task_stays_its_calls_child_while_the_call_runs() {
    let outer = Worker::new("outer");
    let (release, released) = tokio::sync::oneshot::channel();
    let call = tool_call("spawn_worker", async {
        let child = crate::spawn(async { inner_worker().trace() })
            .await
            .unwrap();
        let late = crate::spawn(async {
            released.await.unwrap();
            inner_worker().trace()
        });
        Ok::<_, Failed>((child, late))
    });
    let (child, late) = outer.collector.scope(call).await.unwrap();
    assert_eq!(span_ids(&outer.events()), [child.parent_span_id]);
    // The call's event is written; its span can no longer be told there.
    release.send(()).unwrap();
    let root = outer.collector.trace();
    assert_eq!(late.await.unwrap().parent_span_id, Some(root.span_id));
    assert_ne!(child.parent_span_id, Some(root.span_id));
}

#[tokio::test]
async fn the_innermost_call_is_the_parent() {
    let outer = Worker::new("outer");
    let inner_call = tool_call("inner", async { Ok::<_, Failed>(inner_worker().trace()) });
    let outer_call = tool_call("outer", inner_call);
    let child = outer.collector.scope(outer_call).await.unwrap();
    assert_eq!(outer.seen(), ["inner 0ms", "outer 0ms"]);
    assert_eq!(span_ids(&outer.events()), [child.parent_span_id, None]);
}

#[tokio::test]
async fn running_code_can_ask_which_call_it_is_a_part_of() {
    let here = || current_call().map(|it| (it.kind, it.name));
    let worker = Worker::new("w");
    let in_tool = (CallKind::Tool, "delegate".to_owned());
    let body = async {
        assert_eq!(here(), None);
        tool_call("delegate", async {
            assert_eq!(here(), Some(in_tool.clone()));
            let ask = llm_call("m", "initial", async { Ok::<_, Failed>(here()) });
            let in_model = (CallKind::Llm, "m".to_owned());
            assert_eq!(ask.await.unwrap(), Some(in_model));
            assert_eq!(here(), Some(in_tool.clone()));
            inner_worker().scope_sync(|| assert_eq!(here(), None));
            Ok::<_, Failed>(())
        })
        .await
    };
    worker.collector.scope(body).await.unwrap();
    assert_eq!(here(), None);
}
