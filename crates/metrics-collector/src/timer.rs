//! RAII timers: a call starts when one is made and ends when it is told how the call went, or dropped.

use std::{borrow::Cow, fmt::Display};

use metrics_core::{
    CallStart, CallTime, Decimal, Event, LlmCall, ModelName, Outcome, Phase, ProviderName,
    ToolCall, ToolName, Usage,
};

use crate::{
    collector::{CallKey, CallKind, MetricsCollector, dropped_outcome, error_outcome},
    context,
};

/// A call in flight, of either kind: the scope it belongs to and when it started.
#[derive(Debug)]
pub(crate) struct Running {
    collector: MetricsCollector,
    key: CallKey,
    start: CallStart,
}

impl Running {
    /// `None` outside a scope.
    #[inline]
    pub(crate) fn start(kind: CallKind, name: &str, phase: &str) -> Option<Self> {
        let collector = context::lend_collector()?;
        let start = collector.clock().start();
        let key = collector.start(kind, name, phase, start);
        Some(Self {
            collector,
            key,
            start,
        })
    }

    pub(crate) fn key(&self) -> CallKey {
        self.key
    }

    pub(crate) fn collector(&self) -> &MetricsCollector {
        &self.collector
    }

    /// Milliseconds since the start.
    fn elapsed_ms(&self) -> Option<u64> {
        u64::try_from(self.collector.clock().elapsed(&self.start).as_millis()).ok()
    }

    fn rename(&self, name: &str) {
        self.collector.rename(self.key, name);
    }

    /// Ends the call as no event.
    fn forget(self) {
        self.collector.forget(self.key);
        context::give_back(self.collector);
    }

    /// Ends the call as the event that `event` makes of it.
    ///
    /// The end is read before anything else: the text of an error may take its time.
    #[inline]
    pub(crate) fn end<'e>(self, event: impl FnOnce(&MetricsCollector, CallTime) -> Event<'e>) {
        let time = self.collector.clock().finish(&self.start);
        self.collector.end(self.key, event(&self.collector, time));
        context::give_back(self.collector);
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
    if context::is_none() {
        return LlmTimer(None);
    }
    TimedLlm::start(model.into(), phase.into())
}

/// A model call being timed; made by [`start_llm_call`].
#[derive(Debug)]
#[must_use = "dropping a timer records the call as cancelled"]
pub struct LlmTimer<'a>(Option<TimedLlm<'a>>);

#[derive(Debug)]
struct TimedLlm<'a> {
    /// `None` once the call has ended.
    running: Option<Running>,
    model: ModelName<'a>,
    phase: Phase<'a>,
    usage: Usage,
    ttft_ms: Option<u64>,
    provider: Option<ProviderName<'a>>,
    attempt: Option<u32>,
    cost_usd: Option<Decimal>,
}

impl<'a> LlmTimer<'a> {
    /// Names the model, where it was not known at the start.
    pub fn model(&mut self, model: impl Into<ModelName<'a>>) {
        if let Some(call) = &mut self.0 {
            call.model = model.into();
            if let Some(running) = &call.running {
                running.rename(call.model.as_str());
            }
        }
    }

    /// Notes the tokens that the provider reported.
    #[inline]
    pub fn usage(&mut self, usage: Usage) {
        if let Some(call) = &mut self.0 {
            call.usage = usage;
        }
    }

    /// Notes that the first token is here; later calls change nothing.
    pub fn first_token(&mut self) {
        if let Some(call) = &mut self.0
            && call.ttft_ms.is_none()
        {
            call.ttft_ms = call.running.as_ref().and_then(Running::elapsed_ms);
        }
    }

    /// Notes who serves the call.
    pub fn provider(&mut self, provider: impl Into<ProviderName<'a>>) {
        if let Some(call) = &mut self.0 {
            call.provider = Some(provider.into());
        }
    }

    /// Notes which attempt at the same request this is, from 1.
    pub fn attempt(&mut self, attempt: u32) {
        if let Some(call) = &mut self.0 {
            call.attempt = Some(attempt);
        }
    }

    /// Notes the cost in US dollars that the provider reported.
    pub fn cost_usd(&mut self, cost: Decimal) {
        if let Some(call) = &mut self.0 {
            call.cost_usd = Some(cost);
        }
    }

    /// Ends the call as successful.
    #[inline]
    pub fn succeed(mut self) {
        if let Some(call) = &mut self.0 {
            call.end(|_| Outcome::Success);
        }
    }

    /// Ends the call as failed.
    pub fn fail(mut self, error: impl Display) {
        if let Some(call) = &mut self.0 {
            call.end(|_| error_outcome(&error));
        }
    }

    /// Records nothing: what was timed turned out to be no call of its own.
    pub fn discard(mut self) {
        if let Some(call) = &mut self.0
            && let Some(running) = call.running.take()
        {
            running.forget();
        }
    }
}

impl<'a> TimedLlm<'a> {
    // Not inlined, so that outside a scope a timer costs no more than a look at the scope.
    #[inline(never)]
    fn start(model: ModelName<'a>, phase: Phase<'a>) -> LlmTimer<'a> {
        let running = Running::start(CallKind::Llm, model.as_str(), phase.as_str());
        LlmTimer(running.is_some().then(|| Self {
            running,
            model,
            phase,
            usage: Usage::default(),
            ttft_ms: None,
            provider: None,
            attempt: None,
            cost_usd: None,
        }))
    }

    #[inline(never)]
    fn end<'o>(&mut self, outcome: impl FnOnce(&MetricsCollector) -> Outcome<'o>) {
        let Some(running) = self.running.take() else {
            return;
        };
        running.end(|collector, time| {
            let mut call = LlmCall::new(&self.phase, &self.model, time);
            call.usage = self.usage;
            call.ttft_ms = self.ttft_ms;
            call.provider = self.provider.as_ref().map(Into::into);
            call.attempt = self.attempt;
            call.cost_usd = self.cost_usd;
            call.outcome = outcome(collector);
            call.into()
        });
    }
}

impl Drop for TimedLlm<'_> {
    fn drop(&mut self) {
        self.end(|it| dropped_outcome(it, false));
    }
}

/// Starts timing a tool call in the current scope.
///
/// The call belongs to this scope wherever it ends. Dropped without a word it is recorded as `cancelled` (`panicked`
/// while a panic unwinds); [`tool_call`](crate::tool_call) reads the outcome from a `Result` instead.
pub fn start_tool_call<'a>(tool: impl Into<ToolName<'a>>) -> ToolTimer<'a> {
    if context::is_none() {
        return ToolTimer(None);
    }
    TimedTool::start(tool.into())
}

/// A tool call being timed; made by [`start_tool_call`].
#[derive(Debug)]
#[must_use = "dropping a timer records the call as cancelled"]
pub struct ToolTimer<'a>(Option<TimedTool<'a>>);

#[derive(Debug)]
struct TimedTool<'a> {
    /// `None` once the call has ended.
    running: Option<Running>,
    tool: ToolName<'a>,
    tool_call_id: Option<Cow<'a, str>>,
}

impl<'a> ToolTimer<'a> {
    /// Names the tool, where it was not known at the start.
    pub fn tool(&mut self, tool: impl Into<ToolName<'a>>) {
        if let Some(call) = &mut self.0 {
            call.tool = tool.into();
            if let Some(running) = &call.running {
                running.rename(call.tool.as_str());
            }
        }
    }

    /// Notes the model's id for this call.
    pub fn tool_call_id(&mut self, id: impl Into<Cow<'a, str>>) {
        if let Some(call) = &mut self.0 {
            call.tool_call_id = Some(id.into());
        }
    }

    /// Ends the call as successful.
    #[inline]
    pub fn succeed(mut self) {
        if let Some(call) = &mut self.0 {
            call.end(|_| Outcome::Success);
        }
    }

    /// Ends the call as failed.
    pub fn fail(mut self, error: impl Display) {
        if let Some(call) = &mut self.0 {
            call.end(|_| error_outcome(&error));
        }
    }

    /// Records nothing: what was timed turned out to be no call of its own.
    pub fn discard(mut self) {
        if let Some(call) = &mut self.0
            && let Some(running) = call.running.take()
        {
            running.forget();
        }
    }
}

impl<'a> TimedTool<'a> {
    #[inline(never)]
    fn start(tool: ToolName<'a>) -> ToolTimer<'a> {
        let running = Running::start(CallKind::Tool, tool.as_str(), "");
        ToolTimer(running.is_some().then(|| Self {
            running,
            tool,
            tool_call_id: None,
        }))
    }

    #[inline(never)]
    fn end<'o>(&mut self, outcome: impl FnOnce(&MetricsCollector) -> Outcome<'o>) {
        let Some(running) = self.running.take() else {
            return;
        };
        running.end(|collector, time| {
            let mut call = ToolCall::new(&self.tool, time);
            call.outcome = outcome(collector);
            call.tool_call_id = self.tool_call_id.as_deref().map(Cow::Borrowed);
            call.into()
        });
    }
}

impl Drop for TimedTool<'_> {
    fn drop(&mut self) {
        self.end(|it| dropped_outcome(it, false));
    }
}
