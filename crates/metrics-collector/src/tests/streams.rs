//! Streams follow a scope where they are polled, and keep one where they are told to.

use std::{future::ready, pin::pin};

use futures_util::{FutureExt as _, Stream, StreamExt as _, stream};

use super::Worker;
use crate::{InScope as _, current_worker_id, start_tool_call};

/// Each item is a tool call, and so is the end of the stream by being dropped.
fn calls() -> impl Stream<Item = u32> {
    let guard = NotesWhenDropped;
    stream::iter(0..3).map(move |item| {
        let _kept = &guard;
        start_tool_call(format!("item {item}")).succeed();
        item
    })
}

struct NotesWhenDropped;

impl Drop for NotesWhenDropped {
    fn drop(&mut self) {
        start_tool_call("dropped").succeed();
    }
}

const ALL: [&str; 4] = ["item 0 0ms", "item 1 0ms", "item 2 0ms", "dropped 0ms"];

#[test]
fn a_stream_polled_inside_a_scope_follows_it() {
    let worker = Worker::new("w");
    let items: Vec<_> = worker
        .collector
        .scope(async { calls().collect().await })
        .now_or_never()
        .unwrap();
    assert_eq!(items, [0, 1, 2]);
    assert_eq!(worker.seen(), ALL);
}

#[test]
fn a_scoped_stream_keeps_its_scope_whoever_asks_for_items() {
    let (worker, other) = (Worker::new("w"), Worker::new("other"));
    let scoped = worker.collector.scope_stream(calls());
    assert_eq!(scoped.size_hint(), (3, Some(3)));
    let read = scoped.for_each(|item| {
        // What is done with an item is the reader's.
        start_tool_call(format!("read {item}")).succeed();
        ready(())
    });
    other.collector.scope(read).now_or_never().unwrap();
    assert_eq!(worker.seen(), ALL);
    assert_eq!(other.seen(), ["read 0 0ms", "read 1 0ms", "read 2 0ms"]);
    assert_eq!(current_worker_id(), None);
}

#[test]
fn a_stream_takes_the_current_scope_along() {
    let worker = Worker::new("w");
    let carried = worker.collector.scope_sync(|| calls().in_current_scope());
    let items: Vec<_> = carried.collect().now_or_never().unwrap();
    assert_eq!(items, [0, 1, 2]);
    assert_eq!(worker.seen(), ALL);
}

#[test]
fn a_stream_carried_from_outside_stays_outside() {
    let worker = Worker::new("w");
    let carried = calls().in_current_scope();
    let read = carried.collect::<Vec<_>>();
    worker.collector.scope(read).now_or_never().unwrap();
    assert_eq!(worker.seen(), [""; 0]);
}

#[test]
fn a_scoped_stream_half_read_is_dropped_inside_its_scope() {
    let worker = Worker::new("w");
    {
        let mut scoped = pin!(worker.collector.scope_stream(calls()));
        assert_eq!(scoped.next().now_or_never(), Some(Some(0)));
    }
    assert_eq!(worker.seen(), ["item 0 0ms", "dropped 0ms"]);
}
