//! Wrappers over futures: the outcome is read from the future's `Result`, so that a `?` is no false "cancelled".

use std::{
    borrow::Cow,
    fmt::Display,
    future::Future,
    mem,
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use metrics_core::{
    CallTime, LlmCall, ModelName, Outcome, Phase, ProviderName, ToolCall, ToolName, Usage,
};
use pin_project_lite::pin_project;

use crate::{
    collector::{CallKind, MetricsCollector, dropped_outcome, error_outcome},
    context::{self, Context},
    guard::guarded,
    timer::Running,
};

/// Records `future` as one model call of the current scope.
///
/// The call starts when the future is first polled. Its `Result` is the outcome; dropped before its end the call is
/// recorded as `cancelled`, or as `panicked` after a panic.
pub fn llm_call<'a, F, T, E>(
    model: impl Into<ModelName<'a>>,
    phase: impl Into<Phase<'a>>,
    future: F,
) -> LlmCallFuture<'a, F, impl FnOnce(&T, &mut LlmCall<'_>)>
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    LlmCallFuture {
        call: Call::new(Some(future)),
        about: About {
            model: model.into(),
            phase: phase.into(),
            provider: None,
            attempt: None,
        },
        report: Some(|_: &T, _: &mut LlmCall<'_>| ()),
    }
}

/// Records `future` as one tool call of the current scope.
///
/// The call starts when the future is first polled. Its `Result` is the outcome; dropped before its end the call is
/// recorded as `cancelled`, or as `panicked` after a panic.
pub fn tool_call<'a, F, T, E>(tool: impl Into<ToolName<'a>>, future: F) -> ToolCallFuture<'a, F>
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    ToolCallFuture {
        call: Call::new(Some(future)),
        tool: tool.into(),
        tool_call_id: None,
    }
}

pin_project! {
    /// A model call; made by [`llm_call`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct LlmCallFuture<'a, F, R> {
        #[pin]
        call: Call<F>,
        about: About<'a>,
        report: Option<R>,
    }

    impl<'a, F, R> PinnedDrop for LlmCallFuture<'a, F, R> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let call = this.call.project();
            if let Some(running) = call.running.take() {
                running.end(|collector, time| {
                    let mut event = this.about.event(time);
                    event.outcome = dropped_outcome(collector, *call.polling);
                    event.into()
                });
            }
        }
    }
}

/// What is known of a model call before its reply, and so also where it fails.
#[derive(Debug)]
struct About<'a> {
    model: ModelName<'a>,
    phase: Phase<'a>,
    provider: Option<ProviderName<'a>>,
    attempt: Option<u32>,
}

impl About<'_> {
    fn event(&self, time: CallTime) -> LlmCall<'_> {
        let mut event = LlmCall::new(&self.phase, &self.model, time);
        event.provider = self.provider.as_ref().map(Into::into);
        event.attempt = self.attempt;
        event
    }

    fn take(&mut self) -> Self {
        Self {
            model: mem::replace(&mut self.model, "".into()),
            phase: mem::replace(&mut self.phase, "".into()),
            provider: self.provider.take(),
            attempt: self.attempt,
        }
    }
}

impl<'a, F, R> LlmCallFuture<'a, F, R> {
    /// Notes who serves the call.
    pub fn provider(mut self, provider: impl Into<ProviderName<'a>>) -> Self {
        self.about.provider = Some(provider.into());
        self
    }

    /// Notes which attempt at the same request this is, from 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.about.attempt = Some(attempt);
        self
    }

    /// Says how to read the token counts from a successful reply.
    pub fn usage<T, E>(
        self,
        usage: impl FnOnce(&T) -> Usage,
    ) -> LlmCallFuture<'a, F, impl FnOnce(&T, &mut LlmCall<'_>)>
    where
        F: Future<Output = Result<T, E>>,
    {
        self.report(|reply: &T, call: &mut LlmCall<'_>| call.usage = usage(reply))
    }

    /// Says how to read whatever is known from a successful reply into the event.
    ///
    /// Should `report` panic, the reply is delivered and the event holds what was read until then.
    pub fn report<T, E, N>(self, report: N) -> LlmCallFuture<'a, F, N>
    where
        F: Future<Output = Result<T, E>>,
        N: FnOnce(&T, &mut LlmCall<'_>),
    {
        // Taken apart by hand, as a type with a `Drop` of its own cannot be destructured.
        let mut this = self;
        LlmCallFuture {
            call: mem::replace(&mut this.call, Call::new(None)),
            about: this.about.take(),
            report: Some(report),
        }
    }
}

impl<F, R, T, E> Future for LlmCallFuture<'_, F, R>
where
    F: Future<Output = Result<T, E>>,
    R: FnOnce(&T, &mut LlmCall<'_>),
    E: Display,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut call = this.call;
        let (model, phase) = (this.about.model.as_str(), this.about.phase.as_str());
        call.as_mut().start(CallKind::Llm, model, phase);
        let result = ready!(call.as_mut().poll(task));
        if let Some(running) = call.project().running.take() {
            running.end(|_, time| {
                let mut event = this.about.event(time);
                match &result {
                    Ok(reply) => {
                        if let Some(report) = this.report.take() {
                            // What only measures must not cost the worker its reply.
                            guarded(|| report(reply, &mut event));
                        }
                    }
                    Err(error) => event.outcome = error_outcome(error),
                }
                event.into()
            });
        }
        Poll::Ready(result)
    }
}

pin_project! {
    /// A tool call; made by [`tool_call`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ToolCallFuture<'a, F> {
        #[pin]
        call: Call<F>,
        tool: ToolName<'a>,
        tool_call_id: Option<Cow<'a, str>>,
    }

    impl<'a, F> PinnedDrop for ToolCallFuture<'a, F> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let panicked = this.call.polling;
            record_tool(this.call, this.tool, this.tool_call_id.as_deref(), |it| {
                dropped_outcome(it, panicked)
            });
        }
    }
}

impl<'a, F> ToolCallFuture<'a, F> {
    /// Notes the model's id for this call.
    pub fn tool_call_id(mut self, id: impl Into<Cow<'a, str>>) -> Self {
        self.tool_call_id = Some(id.into());
        self
    }
}

impl<F, T, E> Future for ToolCallFuture<'_, F>
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut call = this.call;
        call.as_mut().start(CallKind::Tool, this.tool.as_str(), "");
        let result = ready!(call.as_mut().poll(task));
        record_tool(
            call,
            this.tool,
            this.tool_call_id.as_deref(),
            |_| match &result {
                Ok(_) => Outcome::Success,
                Err(error) => error_outcome(error),
            },
        );
        Poll::Ready(result)
    }
}

fn record_tool<'o, F>(
    call: Pin<&mut Call<F>>,
    tool: &ToolName<'_>,
    tool_call_id: Option<&str>,
    outcome: impl FnOnce(&MetricsCollector) -> Outcome<'o>,
) {
    if let Some(running) = call.project().running.take() {
        running.end(|collector, time| {
            let mut event = ToolCall::new(tool, time);
            event.outcome = outcome(collector);
            event.tool_call_id = tool_call_id.map(Cow::Borrowed);
            event.into()
        });
    }
}

pin_project! {
    /// What both kinds of call share: the future, polled as the call that children name as their parent.
    #[derive(Debug)]
    struct Call<F> {
        // `None` only in what a builder call leaves behind.
        #[pin]
        future: Option<F>,
        started: bool,
        // Set within a poll, and so also after one that panicked.
        polling: bool,
        running: Option<Running>,
        context: Option<Context>,
    }
}

impl<F> Call<F> {
    fn new(future: Option<F>) -> Self {
        Self {
            future,
            started: false,
            polling: false,
            running: None,
            context: None,
        }
    }

    fn start(self: Pin<&mut Self>, kind: CallKind, name: &str, phase: &str) {
        let this = self.project();
        if *this.started {
            return;
        }
        *this.started = true;
        *this.running = Running::start(kind, name, phase);
        *this.context = this
            .running
            .as_ref()
            .map(|it| Context::new(it.collector().clone(), Some(it.key())));
    }
}

impl<F: Future> Call<F> {
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else {
            return Poll::Pending;
        };
        *this.polling = true;
        let res = match this.context {
            // Outside a scope whatever context there is stays.
            None => future.poll(task),
            Some(_) => context::enter(this.context, || future.poll(task)),
        };
        *this.polling = false;
        res
    }
}
