//! Reading the spans of workers, and putting them below their parents.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, HashSet},
};

use artifact_store::{Metadata, OpenCall, StoreError, WorkerReader};
use metrics_core::{Event, LineContent, SpanId, Timestamp, TraceFields, derive_span_id};

use super::{TraceSpan, TraceWhat};
use crate::{
    coverage::Coverage,
    events::{after, event_end, event_micros, for_each_line},
    texts,
};

/// Deeper ones are shown beside their parents: a tree made to be deep must not exhaust the stack of whoever walks it.
const MAX_DEPTH: usize = 64;
/// A gap is shown if it takes this part of its worker's time, and a millisecond.
const GAP_PART: u64 = 20;
const MIN_GAP_US: u64 = 1000;
/// Calls in flight that are shown of a worker.
const MAX_IN_FLIGHT: usize = 100;

/// A worker, and the spans below it.
#[derive(Debug)]
pub(super) struct Read {
    worker: TraceSpan,
    /// The span of the worker that it was started for, for one whose parent call is not there.
    parent_worker_id: Option<String>,
    spans: Vec<TraceSpan>,
    coverage: Coverage,
}

impl Read {
    pub(super) fn calls(&self) -> u64 {
        match self.worker.what {
            TraceWhat::Worker { calls, .. } => calls,
            _ => 0,
        }
    }

    pub(super) fn total_tokens(&self) -> Option<u64> {
        match self.worker.what {
            TraceWhat::Worker { total_tokens, .. } => total_tokens,
            _ => None,
        }
    }
}

/// Adds the spans that events of the worker name as their parents.
pub(super) fn referred_to(
    metadata: &Metadata,
    reader: &WorkerReader,
    parents: &mut HashSet<SpanId>,
) -> Result<(), StoreError> {
    for_each_event(metadata, reader, |event, _| {
        parents.extend(trace_of(event).parent_span_id);
    })
}

/// Reads the worker's calls: those that are `parents`, and of the others the `max_calls` slowest.
pub(super) fn read_worker(
    metadata: &Metadata,
    reader: &WorkerReader,
    parents: &HashSet<SpanId>,
    max_calls: usize,
    now: Timestamp,
) -> Read {
    let is_running = !metadata.status.is_final();
    let start_ts = metadata.started_at.unwrap_or(metadata.created_at);
    let mut calls = 0;
    let mut total_tokens: Option<u64> = None;
    let mut coverage = Coverage::default();
    let mut slowest: BinaryHeap<Reverse<(u64, Reverse<u64>)>> = BinaryHeap::new();
    // By where their lines begin, so that calls that began at once keep their order.
    let mut shown: BTreeMap<u64, TraceSpan> = BTreeMap::new();
    let mut left_out = LeftOut::default();
    let read = for_each_event(metadata, reader, |event, offset| {
        calls += 1;
        coverage.add(event.time().start_ts(), event_end(event.time()));
        if let Event::LlmCall(call) = event
            && let Some(more) = call.usage.total_tokens
        {
            total_tokens = Some(total_tokens.unwrap_or(0).saturating_add(more));
        }
        let trace = trace_of(event);
        let derived = || {
            Some(derive_span_id(
                metadata.trace_id?,
                &metadata.worker_id,
                offset,
            ))
        };
        let span_id = trace.span_id.or_else(derived);
        let us = event_micros(event.time());
        shown.extend(call_span(event, span_id, us).map(|it| (offset, it)));
        if span_id.is_some_and(|it| parents.contains(&it)) {
            return;
        }
        slowest.push(Reverse((us, Reverse(offset))));
        if slowest.len() > max_calls
            && let Some(Reverse((_, Reverse(offset)))) = slowest.pop()
            && let Some(span) = shown.remove(&offset)
        {
            left_out.add(&span);
        }
    });
    let mut spans: Vec<_> = shown.into_values().collect();
    spans.extend(left_out.0);
    if is_running {
        let in_flight = reader.open_calls().unwrap_or_default();
        for call in in_flight.into_iter().take(MAX_IN_FLIGHT) {
            coverage.add(call.start_ts(), now);
            spans.push(open_span(call, now));
        }
    }
    let duration = texts::duration(metadata);
    let duration_us = duration.map(|it| u64::try_from(it.as_micros()).unwrap_or(u64::MAX));
    let unreadable = read.err().map(|it| it.to_string());
    let worker = TraceSpan {
        what: TraceWhat::Worker {
            worker_id: metadata.worker_id.clone(),
            job_id: metadata.job_id,
            status: metadata.status.to_string(),
            task: metadata.task.clone(),
            calls,
            total_tokens,
        },
        start_ts,
        duration_us: duration_us.or(is_running.then(|| micros(start_ts, now))),
        is_running,
        error: metadata.error.clone().or(unreadable),
        span_id: metadata.span_id,
        parent_span_id: metadata.parent_span_id,
        children: Vec::new(),
    };
    Read {
        worker,
        parent_worker_id: metadata.parent_worker_id.as_ref().map(ToString::to_string),
        spans,
        coverage,
    }
}

/// Calls that there is no room for: one span that stands for all, where the first of them was.
#[derive(Debug, Default)]
struct LeftOut(Option<TraceSpan>);

impl LeftOut {
    fn add(&mut self, span: &TraceSpan) {
        let sum = self.0.get_or_insert_with(|| TraceSpan {
            what: TraceWhat::MoreCalls { count: 0 },
            start_ts: span.start_ts,
            duration_us: Some(0),
            is_running: false,
            error: None,
            span_id: None,
            parent_span_id: None,
            children: Vec::new(),
        });
        if let TraceWhat::MoreCalls { count } = &mut sum.what {
            *count += 1;
        }
        sum.start_ts = sum.start_ts.min(span.start_ts);
        let us = |it: Option<u64>| it.unwrap_or(0);
        sum.duration_us = Some(us(sum.duration_us).saturating_add(us(span.duration_us)));
    }
}

/// Puts each span below its parent.
pub(super) fn tree(mut read: Vec<Read>) -> Vec<TraceSpan> {
    read.sort_by_key(|it| it.worker.start_ts);
    let mut known: HashSet<SpanId> = HashSet::new();
    let mut spans_of_workers: HashMap<String, SpanId> = HashMap::new();
    for it in &read {
        known.extend(it.worker.span_id);
        known.extend(it.spans.iter().filter_map(|it| it.span_id));
        if let (TraceWhat::Worker { worker_id, .. }, Some(span)) =
            (&it.worker.what, it.worker.span_id)
        {
            spans_of_workers.insert(worker_id.to_string(), span);
        }
    }
    let mut below: HashMap<SpanId, Vec<Node>> = HashMap::new();
    let mut roots = Vec::new();
    for it in read {
        let own = it.worker.span_id;
        let by_worker = it
            .parent_worker_id
            .and_then(|it| spans_of_workers.get(&it).copied());
        let parent = it
            .worker
            .parent_span_id
            .filter(|it| known.contains(it))
            .or(by_worker);
        let mut worker = Node {
            span: it.worker,
            coverage: Some(it.coverage),
        };
        for span in it.spans {
            let parent = span
                .parent_span_id
                .filter(|it| known.contains(it) && Some(*it) != span.span_id);
            match parent.or(own) {
                Some(parent) => below.entry(parent).or_default().push(span.into()),
                None => worker.span.children.push(span),
            }
        }
        match parent.filter(|it| Some(*it) != own) {
            Some(parent) => below.entry(parent).or_default().push(worker),
            None => roots.push(worker),
        }
    }
    let mut res: Vec<_> = roots
        .into_iter()
        .map(|it| grown(it, &mut below, 0))
        .collect();
    // What is left names its parents in a circle, or lies too deep: workers come to the top, then what calls no worker has.
    let mut parents: Vec<_> = below.keys().copied().collect();
    parents.sort_unstable();
    for nodes in below.values_mut() {
        nodes.sort_by_key(Node::is_worker); // The last one is taken first.
    }
    for is_topmost in [Node::is_worker, |_: &Node| true] {
        for parent in &parents {
            // Asked anew each time: what has just grown may have taken the others.
            let next = |below: &mut HashMap<_, Vec<Node>>| {
                let nodes = below.get_mut(parent)?;
                nodes.pop_if(|it| is_topmost(it))
            };
            while let Some(node) = next(&mut below) {
                res.push(grown(node, &mut below, 0));
            }
        }
    }
    res.sort_by_key(|it| it.start_ts);
    res
}

/// A span on its way into the tree; a worker's knows what its calls cover.
#[derive(Debug)]
struct Node {
    span: TraceSpan,
    coverage: Option<Coverage>,
}

impl Node {
    fn is_worker(&self) -> bool {
        self.coverage.is_some()
    }
}

impl From<TraceSpan> for Node {
    fn from(span: TraceSpan) -> Self {
        Self {
            span,
            coverage: None,
        }
    }
}

/// The span with all that lies below it.
fn grown(node: Node, below: &mut HashMap<SpanId, Vec<Node>>, depth: usize) -> TraceSpan {
    let Node { mut span, coverage } = node;
    let children = span
        .span_id
        .filter(|_| depth < MAX_DEPTH)
        .and_then(|it| below.remove(&it));
    for child in children.into_iter().flatten() {
        span.children.push(grown(child, below, depth + 1));
    }
    if let (Some(mut coverage), Some(duration_us)) = (coverage, span.duration_us) {
        for child in &span.children {
            if let (TraceWhat::Worker { .. }, Some(us)) = (&child.what, child.duration_us) {
                coverage.add(child.start_ts, after(child.start_ts, us));
            }
        }
        let end = after(span.start_ts, duration_us);
        for (from, until) in coverage.gaps(span.start_ts, end) {
            let us = micros(from, until);
            if us >= MIN_GAP_US && us >= duration_us / GAP_PART {
                span.children.push(gap(from, us));
            }
        }
    }
    span.children.sort_by_key(|it| it.start_ts);
    span
}

fn gap(start_ts: Timestamp, us: u64) -> TraceSpan {
    TraceSpan {
        what: TraceWhat::Gap,
        start_ts,
        duration_us: Some(us),
        is_running: false,
        error: None,
        span_id: None,
        parent_span_id: None,
        children: Vec::new(),
    }
}

fn call_span(event: &Event<'_>, span_id: Option<SpanId>, us: u64) -> Option<TraceSpan> {
    let what = match event {
        Event::LlmCall(call) => TraceWhat::LlmCall {
            model: call.model.as_str().to_owned(),
            phase: call.phase.as_str().to_owned(),
            total_tokens: call.usage.total_tokens,
        },
        Event::ToolCall(call) => TraceWhat::ToolCall {
            tool: call.tool.as_str().to_owned(),
        },
        _ => return None,
    };
    Some(TraceSpan {
        what,
        start_ts: event.time().start_ts(),
        duration_us: Some(us),
        is_running: false,
        error: event.outcome().error().map(str::to_owned),
        span_id,
        parent_span_id: trace_of(event).parent_span_id,
        children: Vec::new(),
    })
}

fn open_span(call: OpenCall, now: Timestamp) -> TraceSpan {
    let start_ts = call.start_ts();
    let (what, span_id) = match call {
        OpenCall::LlmCall {
            model,
            phase,
            span_id,
            ..
        } => {
            let total_tokens = None;
            (
                TraceWhat::LlmCall {
                    model,
                    phase,
                    total_tokens,
                },
                span_id,
            )
        }
        OpenCall::ToolCall { tool, span_id, .. } => (TraceWhat::ToolCall { tool }, span_id),
    };
    TraceSpan {
        what,
        start_ts,
        duration_us: Some(micros(start_ts, now)),
        is_running: true,
        error: None,
        span_id,
        parent_span_id: None,
        children: Vec::new(),
    }
}

fn trace_of(event: &Event<'_>) -> TraceFields {
    match event {
        Event::LlmCall(call) => call.trace,
        Event::ToolCall(call) => call.trace,
        _ => TraceFields::default(),
    }
}

/// Calls `take` with each usable event of the file, and where its line begins.
fn for_each_event(
    metadata: &Metadata,
    reader: &WorkerReader,
    mut take: impl FnMut(&Event<'_>, u64),
) -> Result<(), StoreError> {
    for_each_line(reader, metadata.status.is_final(), |line| {
        if let LineContent::Event(event) = &line.content {
            take(event, line.offset);
        }
    })
}

fn micros(start: Timestamp, end: Timestamp) -> u64 {
    u64::try_from(end.unix_micros().saturating_sub(start.unix_micros())).unwrap_or(0)
}
