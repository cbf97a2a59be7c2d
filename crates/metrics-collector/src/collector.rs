//! One worker's recording: its sink, its totals, what is in flight.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use futures_core::Stream;
use metrics_core::{
    CallStart, CallTime, Clock, ErrorText, Event, EventSink, Flush, LlmCall, MemorySink, Outcome,
    SinkError, SpanId, Timestamp, ToolCall, TraceContext, Usage, WorkerId,
};

use crate::{
    context::{self, Context, Scope},
    guard::guarded,
    telemetry,
};

/// Records the calls of one worker. Cheap to clone; all clones are the same worker.
#[derive(Debug, Clone)]
pub struct MetricsCollector(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    worker: WorkerId,
    sink: Arc<dyn EventSink>,
    clock: Clock,
    trace: TraceContext,
    started: CallStart,
    error_filter: OnceLock<ErrorFilter>,
    state: Mutex<State>,
}

type ErrorFilter = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

#[derive(Debug, Default)]
struct State {
    totals: Totals,
    /// In use and free slots; a free one keeps its text buffer, so that a steady state allocates nothing.
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// The loss that Tier 3 has been told of.
    lost_said: u64,
    /// Events lost because the sink panicked.
    lost_in_sink: u64,
    /// Why calls that are dropped from now on were cut off.
    interrupted: Option<ErrorText<'static>>,
}

#[derive(Debug)]
struct Slot {
    /// Counts the calls that used this slot, so that a call ended by `close` is not ended again by its timer.
    generation: u32,
    running: bool,
    kind: CallKind,
    name: String,
    /// Only for [`CallKind::Llm`].
    phase: String,
    start: CallStart,
    span_id: Option<SpanId>,
}

/// Names a call in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallKey {
    slot: u32,
    generation: u32,
}

/// What kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// A call of a model.
    Llm,
    /// A call of a tool.
    Tool,
}

/// A call that has started and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlightCall {
    /// What kind of call.
    pub kind: CallKind,
    /// The model's or tool's name.
    pub name: String,
    /// What a model call is for; empty for a tool call.
    pub phase: String,
    /// When it started.
    pub start_ts: Timestamp,
    /// How long it has been running.
    pub elapsed: Duration,
    /// Its span, where a child worker or process was told of it.
    pub span_id: Option<SpanId>,
}

/// Which slow calls somebody has seen; see [`MetricsCollector::slow_calls`].
#[derive(Debug, Default)]
pub struct SeenCalls {
    seen: Vec<(CallKey, Option<SpanId>)>,
    /// Kept for the next look.
    now: Vec<(CallKey, Option<SpanId>)>,
}

impl SeenCalls {
    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

/// What one worker's calls came to so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Model calls that ended, failed ones included.
    pub llm_calls: u64,
    /// Model calls that failed.
    pub llm_failures: u64,
    /// Tool calls that ended, failed ones included.
    pub tool_calls: u64,
    /// Tool calls that failed.
    pub tool_failures: u64,
    /// Sum of the model calls' durations, in microseconds.
    pub llm_us: u64,
    /// Sum of the tool calls' durations, in microseconds; parallel calls count each.
    pub tool_us: u64,
    /// Sums of the tokens that providers reported; `None` where none did.
    pub usage: Usage,
}

impl Totals {
    /// Events recorded.
    pub fn events(&self) -> u64 {
        self.llm_calls + self.tool_calls
    }
}

impl MetricsCollector {
    /// A collector for `worker` that hands its events to `sink`.
    ///
    /// Made inside another scope it is that scope's child in the trace; else it begins a trace of its own.
    pub fn new(worker: impl Into<WorkerId>, sink: Arc<dyn EventSink>) -> Self {
        Self::with(worker, sink, Self::child_trace(), Clock::system())
    }

    /// A collector at a given place in a trace and with a given clock.
    pub fn with(
        worker: impl Into<WorkerId>,
        sink: Arc<dyn EventSink>,
        trace: TraceContext,
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Inner {
            worker: worker.into(),
            sink,
            trace,
            started: clock.start(),
            clock,
            error_filter: OnceLock::new(),
            state: Mutex::default(),
        }))
    }

    /// The collector of the current scope.
    pub fn current() -> Option<Self> {
        context::with(|it| it.collector.clone())
    }

    /// The place in a trace of a worker or process that the running code is about to start: below the call it runs
    /// for, else below its worker, else at the root of a new trace.
    ///
    /// A call that was made a parent writes its `span_id` into its event.
    pub fn child_trace() -> TraceContext {
        context::with(|context| {
            let inner = &context.collector.0;
            let call_span = context.call.and_then(|key| inner.lock().span_of(key));
            let parent = call_span.unwrap_or(inner.trace.span_id);
            TraceContext::child_of(inner.trace.trace_id, parent)
        })
        .unwrap_or_else(TraceContext::root)
    }

    /// Hands each failed call's error to `filter` before it is recorded: what it gives is recorded instead, `None` leaves
    /// the error as it is. Successes are not looked at. Only the first filter counts.
    pub fn filter_errors(&self, filter: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        let _ = self.0.error_filter.set(Box::new(filter));
    }

    /// Runs `future` with this collector as the current scope.
    pub fn scope<F: Future>(&self, future: F) -> Scope<F> {
        Scope::new(future, Some(self.context()))
    }

    /// Polls `stream` with this collector as the current scope, whoever asks for its items.
    ///
    /// What is done with the items belongs to whoever asked. A stream that is polled inside the scope follows it
    /// without this.
    pub fn scope_stream<S: Stream>(&self, stream: S) -> Scope<S> {
        Scope::new(stream, Some(self.context()))
    }

    /// Runs `body` with this collector as the current scope.
    ///
    /// All that this thread does meanwhile belongs to the scope. So a program that blocks on a future says
    /// `block_on(collector.scope(future))`, as `scope_sync(|| block_on(future))` would take in whatever other tasks the
    /// runtime polls on this thread.
    pub fn scope_sync<T>(&self, body: impl FnOnce() -> T) -> T {
        context::enter(&mut Some(self.context()), body)
    }

    /// Records one finished call.
    pub fn record<'a>(&self, event: impl Into<Event<'a>>) {
        let mut event = event.into();
        self.0.lock().totals.take_in(&mut event);
        self.hand_over(event);
    }

    /// The worker.
    pub fn worker_id(&self) -> &WorkerId {
        &self.0.worker
    }

    /// The worker's place in its trace.
    pub fn trace(&self) -> TraceContext {
        self.0.trace
    }

    /// What was recorded so far.
    pub fn totals(&self) -> Totals {
        self.0.lock().totals
    }

    /// How long this collector exists, on the monotonic clock.
    pub fn elapsed(&self) -> Duration {
        self.0.clock.elapsed(&self.0.started)
    }

    /// The calls in flight right now, the oldest first.
    pub fn in_flight(&self) -> Vec<InFlightCall> {
        self.in_flight_for(Duration::ZERO, &self.0.lock())
    }

    /// The calls that have been in flight for `limit` or longer, the oldest first; `None` if they are those that `seen`
    /// has been told of. For whoever looks often: a look that finds nothing new allocates nothing.
    pub fn slow_calls(&self, limit: Duration, seen: &mut SeenCalls) -> Option<Vec<InFlightCall>> {
        let state = self.0.lock();
        seen.now.clear();
        // Nearly always nothing is in flight, or one call; the clock is asked only then.
        if state.free.len() < state.slots.len() {
            seen.now.extend(
                state
                    .running_for(limit, &self.0.clock)
                    .map(|(key, slot)| (key, slot.span_id)),
            );
        }
        if seen.now == seen.seen {
            return None;
        }
        std::mem::swap(&mut seen.now, &mut seen.seen);
        Some(self.in_flight_for(limit, &state))
    }

    fn in_flight_for(&self, limit: Duration, state: &State) -> Vec<InFlightCall> {
        let running = state.running_for(limit, &self.0.clock);
        let mut calls: Vec<_> = running
            .map(|(_, slot)| slot.in_flight(&self.0.clock))
            .collect();
        calls.sort_by_key(|call| std::cmp::Reverse(call.elapsed));
        calls
    }

    /// The call that `key` names, unless it has ended.
    pub(crate) fn call(&self, key: CallKey) -> Option<InFlightCall> {
        let mut state = self.0.lock();
        Some(state.running_slot(key)?.in_flight(&self.0.clock))
    }

    /// Says why calls that are dropped from now on were cut off, such as [`ErrorText::TIMEOUT`]; until then it is
    /// [`ErrorText::CANCELLED`]. For whoever is about to stop the scope's tasks.
    pub fn interrupt(&self, reason: ErrorText<'static>) {
        self.0.lock().interrupted = Some(reason);
    }

    /// Why calls that are dropped now were cut off, if [`interrupt`](Self::interrupt) has said so.
    pub fn interrupted(&self) -> Option<ErrorText<'static>> {
        self.0.lock().interrupted.clone()
    }

    /// Ends all calls in flight as failed with `reason`, such as [`ErrorText::TIMEOUT`]: what cannot end by itself any
    /// more is an event too. Whatever ends such a call later records nothing.
    pub fn close(&self, reason: &ErrorText<'static>) {
        let ended: Vec<_> = {
            let mut state = self.0.lock();
            let keys: Vec<_> = state.running().map(|(key, _)| key).collect();
            keys.into_iter()
                .filter_map(|key| state.release(key).map(EndedCall::of))
                // All ends are read before the first is recorded, as a sink may take its time.
                .map(|call| (self.0.clock.finish(&call.start), call))
                .collect()
        };
        for (time, call) in ended {
            self.record(call.into_event(time, Outcome::Failure(reason.clone())));
        }
    }

    /// A barrier: resolves when all that was recorded before has arrived, or says how many events were lost.
    ///
    /// A loss that was not said yet is said on Tier 3.
    ///
    /// # Errors
    /// [`SinkError`], as the sink says; the events themselves are never an error of the worker.
    pub fn flush(&self) -> impl Future<Output = Result<(), SinkError>> + Send + use<> {
        let collector = self.clone();
        let flush = self.ask_sink();
        async move { collector.say_loss(flush.await) }
    }

    /// [`flush`](Self::flush) for blocking callers.
    ///
    /// # Errors
    /// As `flush`, and [`SinkError::Timeout`] after `timeout`.
    pub fn flush_wait(&self, timeout: Duration) -> Result<(), SinkError> {
        self.say_loss(self.ask_sink().wait(timeout))
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn context(&self) -> Context {
        Context::new(self.clone(), None)
    }

    /// Notes a call as in flight.
    pub(crate) fn start(
        &self,
        kind: CallKind,
        name: &str,
        phase: &str,
        start: CallStart,
    ) -> CallKey {
        self.0.lock().occupy(kind, name, phase, start)
    }

    /// Gives a call in flight another name.
    pub(crate) fn rename(&self, key: CallKey, name: &str) {
        if let Some(slot) = self.0.lock().running_slot(key) {
            slot.name.clear();
            slot.name.push_str(name);
        }
    }

    /// Takes a call out of flight and records nothing.
    pub(crate) fn forget(&self, key: CallKey) {
        self.0.lock().release(key);
    }

    /// Takes a call out of flight and records it as `event`, unless `close` has ended it.
    pub(crate) fn end(&self, key: CallKey, mut event: Event<'_>) {
        {
            let mut state = self.0.lock();
            let Some(span_id) = state.release(key).map(|it| it.span_id) else {
                return;
            };
            // Only what another record refers to is written.
            match &mut event {
                Event::LlmCall(call) => call.trace.span_id = span_id,
                Event::ToolCall(call) => call.trace.span_id = span_id,
                // A kind that a newer core knows has no timer here.
                _ => {}
            }
            state.totals.take_in(&mut event);
        }
        self.hand_over(event);
    }

    fn hand_over(&self, mut event: Event<'_>) {
        let inner = &*self.0;
        if !event.outcome().is_success() {
            inner.filter_error(&mut event);
        }
        let event = &event;
        // A sink of somebody else's may panic; the worker must not notice.
        let handed = guarded(|| inner.sink.record(&inner.worker, event));
        if handed.is_none() {
            inner.lock().lost_in_sink += 1;
        }
        telemetry::emit(&inner.worker, event);
    }

    fn ask_sink(&self) -> Flush {
        let inner = &*self.0;
        guarded(|| inner.sink.flush(&inner.worker))
            .unwrap_or_else(|| Flush::ready(Err(SinkError::Closed)))
    }

    fn say_loss(&self, result: Result<(), SinkError>) -> Result<(), SinkError> {
        let (result, fresh) = {
            let mut state = self.0.lock();
            let panics = state.lost_in_sink;
            let result = with_sink_panics(result, panics);
            let lost = match &result {
                Err(SinkError::Lost { lost, .. }) => *lost,
                // The sink has no count to give; ours stands.
                _ => panics,
            };
            // An older answer may arrive later, and then says nothing new.
            let fresh = lost.saturating_sub(state.lost_said);
            state.lost_said += fresh;
            (result, fresh)
        };
        if fresh > 0 {
            telemetry::emit_loss(&self.0.worker, fresh);
        }
        result
    }
}

fn with_sink_panics(result: Result<(), SinkError>, panics: u64) -> Result<(), SinkError> {
    match result {
        Ok(()) if panics > 0 => Err(SinkError::Lost {
            lost: panics,
            reason: "the sink panicked".to_owned(),
        }),
        Err(SinkError::Lost { lost, reason }) => Err(SinkError::Lost {
            lost: lost.saturating_add(panics),
            reason,
        }),
        other => other,
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("worker", &self.worker)
            .field("sink", &self.sink)
            .field("trace", &self.trace)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last handle may go in the midst of the worker's own code, and a sink of somebody else's with it.
        let sink = std::mem::replace(&mut self.sink, Arc::new(MemorySink::default()));
        guarded(|| drop(sink));
    }
}

impl Inner {
    fn filter_error(&self, event: &mut Event<'_>) {
        let (Some(filter), Some(error)) = (self.error_filter.get(), event.outcome().error()) else {
            return;
        };
        // One that panics has not said that the error may be seen.
        let filtered = guarded(|| filter(error)).unwrap_or_else(|| Some("failed".to_owned()));
        let Some(filtered) = filtered else { return };
        let outcome = match event {
            Event::LlmCall(call) => &mut call.outcome,
            Event::ToolCall(call) => &mut call.outcome,
            // A kind that a newer core knows has no filter here yet.
            _ => return,
        };
        *outcome = Outcome::failure(filtered);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn in_flight(&self, clock: &Clock) -> InFlightCall {
        InFlightCall {
            kind: self.kind,
            name: self.name.clone(),
            phase: self.phase.clone(),
            start_ts: self.start.timestamp(),
            elapsed: clock.elapsed(&self.start),
            span_id: self.span_id,
        }
    }
}

/// What `close` needs to make an event of a call.
struct EndedCall {
    kind: CallKind,
    name: String,
    phase: String,
    start: CallStart,
    span_id: Option<SpanId>,
}

impl EndedCall {
    fn of(slot: &Slot) -> Self {
        Self {
            kind: slot.kind,
            name: slot.name.clone(),
            phase: slot.phase.clone(),
            start: slot.start,
            span_id: slot.span_id,
        }
    }

    fn into_event(self, time: CallTime, outcome: Outcome<'static>) -> Event<'static> {
        match self.kind {
            CallKind::Llm => {
                let mut call = LlmCall::new(self.phase, self.name, time);
                call.outcome = outcome;
                call.trace.span_id = self.span_id;
                call.into()
            }
            CallKind::Tool => {
                let mut call = ToolCall::new(self.name, time);
                call.outcome = outcome;
                call.trace.span_id = self.span_id;
                call.into()
            }
        }
    }
}

impl State {
    fn occupy(&mut self, kind: CallKind, name: &str, phase: &str, start: CallStart) -> CallKey {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                running: false,
                kind,
                name: String::new(),
                phase: String::new(),
                start,
                span_id: None,
            });
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let slot = &mut self.slots[index as usize];
        slot.running = true;
        slot.kind = kind;
        slot.name.clear();
        slot.name.push_str(name);
        slot.phase.clear();
        slot.phase.push_str(phase);
        slot.start = start;
        slot.span_id = None;
        CallKey {
            slot: index,
            generation: slot.generation,
        }
    }

    fn running_slot(&mut self, key: CallKey) -> Option<&mut Slot> {
        self.slots
            .get_mut(key.slot as usize)
            .filter(|slot| slot.running && slot.generation == key.generation)
    }

    /// Takes a call out of flight; its slot tells of it until the next one starts.
    fn release(&mut self, key: CallKey) -> Option<&Slot> {
        let slot = self.running_slot(key)?;
        slot.running = false;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.slot);
        self.slots.get(key.slot as usize)
    }

    fn running(&self) -> impl Iterator<Item = (CallKey, &Slot)> {
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(_, slot)| slot.running)
            .filter_map(|(index, slot)| {
                let key = CallKey {
                    slot: u32::try_from(index).ok()?,
                    generation: slot.generation,
                };
                Some((key, slot))
            })
    }

    fn running_for(
        &self,
        limit: Duration,
        clock: &Clock,
    ) -> impl Iterator<Item = (CallKey, &Slot)> {
        self.running()
            .filter(move |(_, slot)| clock.elapsed(&slot.start) >= limit)
    }

    /// The span of a call, made now if it had none.
    fn span_of(&mut self, key: CallKey) -> Option<SpanId> {
        let slot = self.running_slot(key)?;
        Some(*slot.span_id.get_or_insert_with(SpanId::random))
    }
}

impl Totals {
    /// Adds an event, whose total of tokens is filled in where it can be.
    fn take_in(&mut self, event: &mut Event<'_>) {
        let (failed, micros) = (!event.outcome().is_success(), micros(event.time()));
        match event {
            Event::LlmCall(call) => {
                call.usage = call.usage.with_total();
                self.llm_calls += 1;
                self.llm_failures += u64::from(failed);
                self.llm_us = self.llm_us.saturating_add(micros);
                add_usage(&mut self.usage, &call.usage);
            }
            Event::ToolCall(_) => {
                self.tool_calls += 1;
                self.tool_failures += u64::from(failed);
                self.tool_us = self.tool_us.saturating_add(micros);
            }
            // A kind that a newer core knows is not counted yet.
            _ => {}
        }
    }
}

fn micros(time: &CallTime) -> u64 {
    let between = time.end_ts().unix_micros() - time.start_ts().unix_micros();
    u64::try_from(between).unwrap_or(0)
}

fn add_usage(sum: &mut Usage, more: &Usage) {
    let add = |sum: &mut Option<u64>, more: Option<u64>| {
        if let Some(more) = more {
            *sum = Some(sum.unwrap_or(0).saturating_add(more));
        }
    };
    add(&mut sum.prompt_tokens, more.prompt_tokens);
    add(&mut sum.completion_tokens, more.completion_tokens);
    add(&mut sum.total_tokens, more.total_tokens);
    add(&mut sum.cached_tokens, more.cached_tokens);
    add(&mut sum.cache_write_tokens, more.cache_write_tokens);
    add(&mut sum.reasoning_tokens, more.reasoning_tokens);
}

/// Why a call ended that was dropped before anybody said how it went.
///
/// `panicked` says that its own code is known to have panicked: whoever caught that may drop the future later.
pub(crate) fn dropped_outcome(collector: &MetricsCollector, panicked: bool) -> Outcome<'static> {
    Outcome::Failure(if panicked || std::thread::panicking() {
        ErrorText::PANICKED
    } else {
        let interrupted = collector.0.lock().interrupted.clone();
        interrupted.unwrap_or(ErrorText::CANCELLED)
    })
}

/// The text of an error, as an event carries it.
pub(crate) fn error_outcome(error: &impl std::fmt::Display) -> Outcome<'static> {
    // A `Display` of somebody else's may panic; the worker must not notice.
    let text = guarded(|| ErrorText::from_display(error));
    Outcome::Failure(
        text.unwrap_or_else(|| ErrorText::new("the text of this error cannot be shown")),
    )
}
