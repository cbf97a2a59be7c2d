//! RAII timers: a call starts when one is made and ends when it is told how the call went, or dropped.

use std::{borrow::Cow, fmt::Display};

use metrics_core::{
    CallStart, CallTime, Decimal, LlmCall, ModelName, Outcome, Phase, ProviderName, ToolCall,
    ToolName, TraceFields, Usage,
};

use crate::collector::{CallKey, CallKind, MetricsCollector, dropped_outcome, error_outcome};

/// What both kinds of timer share: the scope a call belongs to and when it started. `None` outside a scope.
#[derive(Debug)]
pub(crate) struct Running(Option<RunningCall>);

#[derive(Debug)]
struct RunningCall {
    collector: MetricsCollector,
    key: CallKey,
    start: CallStart,
}

/// A call that has just ended: where to record it, and when it ran.
pub(crate) struct Ended {
    pub(crate) collector: MetricsCollector,
    pub(crate) time: CallTime,
    pub(crate) trace: TraceFields,
}

impl Running {
    /// No call, as outside a scope.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn start(kind: CallKind, name: &str, phase: &str) -> Self {
        Self(MetricsCollector::current().map(|collector| {
            let start = collector.clock().start();
            let key = collector.start(kind, name, phase, start);
            RunningCall {
                collector,
                key,
                start,
            }
        }))
    }

    pub(crate) fn key(&self) -> Option<CallKey> {
        self.0.as_ref().map(|it| it.key)
    }

    pub(crate) fn collector(&self) -> Option<&MetricsCollector> {
        self.0.as_ref().map(|it| &it.collector)
    }

    /// Milliseconds since the start.
    fn elapsed_ms(&self) -> Option<u64> {
        let call = self.0.as_ref()?;
        u64::try_from(call.collector.clock().elapsed(&call.start).as_millis()).ok()
    }

    /// Ends the call; the end is read before anything else. `None` outside a scope, or where it has ended already.
    pub(crate) fn end(&mut self) -> Option<Ended> {
        let RunningCall {
            collector,
            key,
            start,
        } = self.0.take()?;
        let time = collector.clock().finish(&start);
        let trace = collector.end(key)?;
        Some(Ended {
            collector,
            time,
            trace,
        })
    }
}

/// Starts timing a model call in the current scope.
///
/// The call belongs to this scope wherever it ends. Dropped without a word it is recorded as `cancelled` (`panicked`
/// while a panic unwinds); [`llm_call`](crate::llm_call) reads the outcome from a `Result` instead.
pub fn start_llm_call<'a>(
    model: impl Into<ModelName<'a>>,
    phase: impl Into<Phase<'a>>,
) -> LlmTimer<'a> {
    let (model, phase) = (model.into(), phase.into());
    LlmTimer {
        running: Running::start(CallKind::Llm, model.as_str(), phase.as_str()),
        model,
        phase,
        usage: Usage::default(),
        ttft_ms: None,
        provider: None,
        attempt: None,
        cost_usd: None,
    }
}

/// A model call being timed; made by [`start_llm_call`].
#[derive(Debug)]
#[must_use = "dropping a timer records the call as cancelled"]
pub struct LlmTimer<'a> {
    running: Running,
    model: ModelName<'a>,
    phase: Phase<'a>,
    usage: Usage,
    ttft_ms: Option<u64>,
    provider: Option<ProviderName<'a>>,
    attempt: Option<u32>,
    cost_usd: Option<Decimal>,
}

impl<'a> LlmTimer<'a> {
    /// Notes the tokens that the provider reported.
    pub fn usage(&mut self, usage: Usage) {
        self.usage = usage;
    }

    /// Notes that the first token is here; later calls change nothing.
    pub fn first_token(&mut self) {
        if self.ttft_ms.is_none() {
            self.ttft_ms = self.running.elapsed_ms();
        }
    }

    /// Notes who serves the call.
    pub fn provider(&mut self, provider: impl Into<ProviderName<'a>>) {
        self.provider = Some(provider.into());
    }

    /// Notes which attempt at the same request this is, from 1.
    pub fn attempt(&mut self, attempt: u32) {
        self.attempt = Some(attempt);
    }

    /// Notes the cost in US dollars that the provider reported.
    pub fn cost_usd(&mut self, cost: Decimal) {
        self.cost_usd = Some(cost);
    }

    /// Ends the call as successful.
    pub fn succeed(mut self) {
        self.record(|_| Outcome::Success);
    }

    /// Ends the call as failed.
    pub fn fail(mut self, error: impl Display) {
        self.record(|_| error_outcome(&error));
    }

    /// Ends the call; its outcome is made after the end is read, as the text of an error may take its time.
    fn record<'o>(&mut self, outcome: impl FnOnce(&MetricsCollector) -> Outcome<'o>) {
        if let Some(ended) = self.running.end() {
            let mut call = LlmCall::new(&self.phase, &self.model, ended.time);
            call.usage = self.usage;
            call.ttft_ms = self.ttft_ms;
            call.provider = self.provider.as_ref().map(Into::into);
            call.attempt = self.attempt;
            call.cost_usd = self.cost_usd;
            call.outcome = outcome(&ended.collector);
            call.trace = ended.trace;
            ended.collector.record(call);
        }
    }
}

impl Drop for LlmTimer<'_> {
    fn drop(&mut self) {
        self.record(|it| dropped_outcome(it, false));
    }
}

/// Starts timing a tool call in the current scope.
///
/// The call belongs to this scope wherever it ends. Dropped without a word it is recorded as `cancelled` (`panicked`
/// while a panic unwinds); [`tool_call`](crate::tool_call) reads the outcome from a `Result` instead.
pub fn start_tool_call<'a>(tool: impl Into<ToolName<'a>>) -> ToolTimer<'a> {
    let tool = tool.into();
    ToolTimer {
        running: Running::start(CallKind::Tool, tool.as_str(), ""),
        tool,
        tool_call_id: None,
    }
}

/// A tool call being timed; made by [`start_tool_call`].
#[derive(Debug)]
#[must_use = "dropping a timer records the call as cancelled"]
pub struct ToolTimer<'a> {
    running: Running,
    tool: ToolName<'a>,
    tool_call_id: Option<Cow<'a, str>>,
}

impl<'a> ToolTimer<'a> {
    /// Notes the model's id for this call.
    pub fn tool_call_id(&mut self, id: impl Into<Cow<'a, str>>) {
        self.tool_call_id = Some(id.into());
    }

    /// Ends the call as successful.
    pub fn succeed(mut self) {
        self.record(|_| Outcome::Success);
    }

    /// Ends the call as failed.
    pub fn fail(mut self, error: impl Display) {
        self.record(|_| error_outcome(&error));
    }

    /// Ends the call; its outcome is made after the end is read, as the text of an error may take its time.
    fn record<'o>(&mut self, outcome: impl FnOnce(&MetricsCollector) -> Outcome<'o>) {
        if let Some(ended) = self.running.end() {
            let mut call = ToolCall::new(&self.tool, ended.time);
            call.outcome = outcome(&ended.collector);
            call.tool_call_id = self.tool_call_id.as_deref().map(Cow::Borrowed);
            call.trace = ended.trace;
            ended.collector.record(call);
        }
    }
}

impl Drop for ToolTimer<'_> {
    fn drop(&mut self) {
        self.record(|it| dropped_outcome(it, false));
    }
}
