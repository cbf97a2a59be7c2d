//! Trees of hand-made workers: who is below whom, whatever the files say.

use std::collections::HashSet;

use artifact_store::{ArtifactStore, Metadata, NewWorker, Status};
use metrics_core::{
    CallTime, Event, Outcome, SpanId, Timestamp, ToolCall, TraceContext, derive_span_id,
};

use super::{
    TraceSpan, TraceWhat,
    build::{Read, read_worker, referred_to, tree},
};

const START: &str = "2025-12-15T04:08:08Z";

fn at_ms(millis: i64) -> Timestamp {
    let start: Timestamp = START.parse().unwrap();
    start.plus_micros(millis * 1000)
}

/// A store whose workers ran as a test says.
struct Files {
    store: ArtifactStore,
    _dir: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            store: ArtifactStore::open(dir.path()).unwrap(),
            _dir: dir,
        }
    }

    /// A worker that began and ended at these milliseconds, and the calls in its file.
    fn worker(&self, trace: TraceContext, from: i64, until: i64, calls: &[Event<'_>]) -> Metadata {
        let worker = self.store.create_worker(NewWorker {
            trace,
            ..NewWorker::new("work")
        });
        let worker = worker.unwrap();
        let lines: String = calls.iter().map(|it| it.to_line() + "\n").collect();
        let path = self.store.worker(&worker.id()).unwrap();
        std::fs::write(path.path().join("metrics.jsonl"), lines).unwrap();
        let update = worker.update(|it| {
            it.status = Status::Success;
            it.started_at = Some(at_ms(from));
            it.finished_at = Some(at_ms(until));
            it.duration_us = u64::try_from((until - from) * 1000).ok();
        });
        update.unwrap();
        path.metadata().unwrap()
    }

    fn tree(&self, workers: &[Metadata], max_calls: usize) -> Vec<TraceSpan> {
        let mut parents: HashSet<SpanId> =
            workers.iter().filter_map(|it| it.parent_span_id).collect();
        let reader = |it: &Metadata| self.store.worker(&it.worker_id).unwrap();
        for it in workers {
            referred_to(it, &reader(it), &mut parents).unwrap();
        }
        let read = |it: &Metadata| read_worker(it, &reader(it), &parents, max_calls, at_ms(0));
        let read: Vec<Read> = workers.iter().map(read).collect();
        tree(read)
    }
}

fn call(tool: &str, from: i64, until: i64) -> ToolCall<'_> {
    let duration = std::time::Duration::from_millis((until - from).unsigned_abs());
    ToolCall::new(tool, CallTime::new(at_ms(from), duration))
}

/// A tree in one line: `work(tool_a, gap 5, tool_b(work))`.
fn shape(span: &TraceSpan) -> String {
    let name = match &span.what {
        TraceWhat::Worker { task, .. } => task.clone(),
        TraceWhat::LlmCall { model, .. } => model.clone(),
        TraceWhat::ToolCall { tool } => tool.clone(),
        TraceWhat::Gap => format!("gap {}", span.duration_us.unwrap() / 1000),
        TraceWhat::MoreCalls { count } => {
            format!("{count} more {}", span.duration_us.unwrap() / 1000)
        }
    };
    let children: Vec<_> = span.children.iter().map(shape).collect();
    if children.is_empty() {
        return name;
    }
    format!("{name}({})", children.join(", "))
}

fn shapes(tree: &[TraceSpan]) -> Vec<String> {
    tree.iter().map(shape).collect()
}

#[test]
fn a_worker_is_below_the_call_that_started_it_and_the_rest_of_the_time_is_a_gap() {
    let files = Files::new();
    let trace = TraceContext::root();
    let mut starts = call("spawn", 10, 50);
    starts.trace.span_id = Some(SpanId::random());
    let child = TraceContext::child_of(trace.trace_id, starts.trace.span_id.unwrap());
    let (quick, long) = (call("quick", 0, 10), call("long", 70, 100));
    let parent = files.worker(trace, 0, 100, &[quick.into(), starts.into(), long.into()]);
    let child = files.worker(child, 20, 40, &[]);
    assert_eq!(
        shapes(&files.tree(&[child, parent], 20)),
        ["work(quick, spawn(work(gap 20)), gap 20, long)"]
    );
}

#[test]
fn a_call_without_a_span_in_its_line_is_a_parent_by_where_it_stands() {
    let files = Files::new();
    let trace = TraceContext::root();
    let (first, second): (Event<'_>, Event<'_>) =
        (call("first", 0, 5).into(), call("second", 5, 10).into());
    let parent = files.worker(trace, 0, 10, &[first.clone(), second]);
    let offset = first.to_line().len() as u64 + 1;
    let span = derive_span_id(trace.trace_id, &parent.worker_id, offset);
    let child = files.worker(
        TraceContext::child_of(trace.trace_id, span),
        6,
        7,
        &[call("in", 6, 7).into()],
    );
    let shown = files.tree(&[parent, child], 0);
    assert_eq!(shapes(&shown), ["work(1 more 5, second(work(1 more 1)))"]);
}

#[test]
fn of_many_calls_the_slowest_are_shown_and_the_others_summed_up() {
    let files = Files::new();
    let calls: Vec<Event<'_>> = (0..1000)
        .map(|n| {
            call(
                if n == 500 { "slow" } else { "fast" },
                n * 10,
                n * 10 + if n == 500 { 10 } else { 9 },
            )
            .into()
        })
        .collect();
    let worker = files.worker(TraceContext::root(), 0, 10_000, &calls);
    let shown = files.tree(&[worker], 3);
    assert_eq!(shapes(&shown), ["work(fast, fast, 997 more 8973, slow)"]);
}

#[test]
fn parents_in_a_circle_and_parents_that_are_nowhere_lose_nobody() {
    let files = Files::new();
    let trace = TraceContext::root();
    let place = |span_id, parent| TraceContext {
        span_id,
        parent_span_id: Some(parent),
        ..trace
    };
    let (one, two, nowhere) = (SpanId::random(), SpanId::random(), SpanId::random());
    let workers = [
        files.worker(place(one, two), 0, 1, &[call("a", 0, 1).into()]),
        files.worker(place(two, one), 0, 1, &[call("b", 0, 1).into()]),
        files.worker(
            place(SpanId::random(), nowhere),
            0,
            1,
            &[call("c", 0, 1).into()],
        ),
        files.worker(place(nowhere, nowhere), 0, 1, &[call("d", 0, 1).into()]),
    ];
    let all = shapes(&files.tree(&workers, 20)).join(" ");
    assert_eq!(all.matches("work").count(), 4, "{all}");
    let words: Vec<_> = all.split(|it: char| !it.is_alphabetic()).collect();
    for tool in ["a", "b", "c", "d"] {
        assert_eq!(words.iter().filter(|it| **it == tool).count(), 1, "{all}");
    }
}

#[test]
fn a_chain_that_is_too_deep_is_cut_and_loses_nobody() {
    const N: usize = 300;
    let files = Files::new();
    let mut trace = TraceContext::root();
    let mut workers = Vec::new();
    for _ in 0..N {
        workers.push(files.worker(trace, 0, 1, &[]));
        trace = TraceContext::child_of(trace.trace_id, trace.span_id);
    }
    let shown = files.tree(&workers, 20);
    assert!((2..N / 2).contains(&shown.len()), "{}", shown.len());
    assert_eq!(shapes(&shown).join(" ").matches("work").count(), N);
}

#[test]
fn a_failed_call_says_why() {
    let files = Files::new();
    let mut failed = call("ssh_exec", 0, 5);
    failed.outcome = Outcome::failure("no route to host");
    let worker = files.worker(TraceContext::root(), 0, 5, &[failed.into()]);
    let shown = files.tree(&[worker], 20);
    assert_eq!(
        shown[0].children[0].error.as_deref(),
        Some("no route to host")
    );
}

#[test]
fn calls_that_began_at_once_stand_in_the_order_of_their_lines() {
    let files = Files::new();
    let trace = TraceContext::root();
    let tools: Vec<_> = (0..20).map(|n| format!("call-{n}")).collect();
    let mut calls: Vec<_> = tools.iter().map(|it| call(it, 0, 5)).collect();
    // One among them is somebody's parent, which decides only that it is shown.
    let span_id = SpanId::random();
    calls[12].trace.span_id = Some(span_id);
    let mut below = call("below", 1, 2);
    below.trace.parent_span_id = Some(span_id);
    calls.push(below);
    let calls: Vec<Event<'_>> = calls.into_iter().map(Into::into).collect();
    let worker = files.worker(trace, 0, 5, &calls);
    let shown = tools.join(", ").replace("call-12", "call-12(below)");
    assert_eq!(
        shapes(&files.tree(&[worker], 20)),
        [format!("work({shown})")]
    );
}

#[test]
fn very_many_calls_in_circles_lose_nobody() {
    const PAIRS: usize = 20_000;
    let files = Files::new();
    let mut calls = Vec::new();
    for _ in 0..PAIRS {
        let (one, two) = (SpanId::random(), SpanId::random());
        for (span_id, parent) in [(one, two), (two, one)] {
            let mut call = call("x", 0, 1);
            call.trace.span_id = Some(span_id);
            call.trace.parent_span_id = Some(parent);
            calls.push(Event::from(call));
        }
    }
    let worker = files.worker(TraceContext::root(), 0, 1, &calls);
    let shown = files.tree(&[worker], 0);
    assert_eq!(shown.len(), 1 + PAIRS);
    let in_circles = shown.iter().filter(|it| shape(it) == "x(x)");
    assert_eq!(in_circles.count(), PAIRS);
}

#[test]
fn a_last_line_without_its_end_counts_once_the_worker_has_ended() {
    let files = Files::new();
    let calls = [call("whole", 0, 5).into(), call("last", 5, 10).into()];
    let mut worker = files.worker(TraceContext::root(), 0, 10, &calls);
    let path = files.store.worker(&worker.worker_id).unwrap();
    let path = path.path().join("metrics.jsonl");
    let lines = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, lines.trim_end()).unwrap();
    let shown = |worker: &Metadata| shapes(&files.tree(std::slice::from_ref(worker), 20));
    assert_eq!(shown(&worker), ["work(whole, last)"]);
    worker.status = Status::Running;
    assert_eq!(shown(&worker), ["work(whole, gap 5)"]);
}
