//! Wrappers over futures: the outcome is read from the future's `Result`, so that a `?` is no false "cancelled".

use std::{
    borrow::Cow,
    fmt::Display,
    future::Future,
    pin::Pin,
    task::{Context as TaskContext, Poll, ready},
};

use metrics_core::{LlmCall, ModelName, Outcome, Phase, ToolCall, ToolName, Usage};
use pin_project_lite::pin_project;

use crate::{
    collector::{CallKind, dropped_outcome, error_outcome},
    context::{self, Context},
    timer::Running,
};

/// Records `future` as one model call of the current scope.
///
/// The call starts when the future is first polled. Its `Result` is the outcome; dropped before its end the call is
/// recorded as `cancelled`.
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
        call: Call::new(future),
        model: model.into(),
        phase: phase.into(),
        report: Some(|_: &T, _: &mut LlmCall<'_>| ()),
    }
}

/// Records `future` as one tool call of the current scope.
///
/// The call starts when the future is first polled. Its `Result` is the outcome; dropped before its end the call is
/// recorded as `cancelled`.
pub fn tool_call<'a, F, T, E>(tool: impl Into<ToolName<'a>>, future: F) -> ToolCallFuture<'a, F>
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    ToolCallFuture {
        call: Call::new(future),
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
        model: ModelName<'a>,
        phase: Phase<'a>,
        report: Option<R>,
    }

    impl<'a, F, R> PinnedDrop for LlmCallFuture<'a, F, R> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(ended) = this.call.project().running.end() {
                let mut call = LlmCall::new(&*this.phase, &*this.model, ended.time);
                call.outcome = dropped_outcome();
                call.trace = ended.trace;
                ended.collector.record(call);
            }
        }
    }
}

impl<'a, F, R> LlmCallFuture<'a, F, R> {
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
    pub fn report<T, E, N>(self, report: N) -> LlmCallFuture<'a, F, N>
    where
        F: Future<Output = Result<T, E>>,
        N: FnOnce(&T, &mut LlmCall<'_>),
    {
        // Taken apart by hand, as a type with a `Drop` of its own cannot be destructured.
        let mut this = self;
        LlmCallFuture {
            call: this.call.take(),
            model: std::mem::replace(&mut this.model, "".into()),
            phase: std::mem::replace(&mut this.phase, "".into()),
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
        call.as_mut()
            .start(CallKind::Llm, this.model.as_str(), this.phase.as_str());
        let result = ready!(call.as_mut().poll(task));
        if let Some(ended) = call.project().running.end() {
            let mut event = LlmCall::new(&*this.phase, &*this.model, ended.time);
            event.trace = ended.trace;
            match &result {
                Ok(reply) => {
                    if let Some(report) = this.report.take() {
                        report(reply, &mut event);
                    }
                }
                Err(error) => event.outcome = error_outcome(error),
            }
            ended.collector.record(event);
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
            record_tool(this.call, this.tool, this.tool_call_id.as_deref(), dropped_outcome);
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
            || match &result {
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
    outcome: impl FnOnce() -> Outcome<'o>,
) {
    if let Some(ended) = call.project().running.end() {
        let mut event = ToolCall::new(tool, ended.time);
        event.outcome = outcome();
        event.tool_call_id = tool_call_id.map(Cow::Borrowed);
        event.trace = ended.trace;
        ended.collector.record(event);
    }
}

pin_project! {
    /// What both kinds of call share: the future, polled as the call that children name as their parent.
    #[derive(Debug)]
    struct Call<F> {
        // `None` only once it was taken.
        #[pin]
        future: Option<F>,
        started: bool,
        running: Running,
        context: Option<Context>,
    }
}

impl<F> Call<F> {
    fn new(future: F) -> Self {
        Self::not_started(Some(future))
    }

    /// Moves the future out of a call that has not started.
    fn take(&mut self) -> Self {
        Self::not_started(self.future.take())
    }

    fn not_started(future: Option<F>) -> Self {
        Self {
            future,
            started: false,
            running: Running::none(),
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
        *this.context = this.running.collector().map(|collector| Context {
            call: this.running.key(),
            ..collector.context()
        });
    }
}

impl<F: Future> Call<F> {
    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else {
            return Poll::Pending;
        };
        match this.context {
            // Outside a scope whatever context there is stays.
            None => future.poll(task),
            Some(_) => context::enter(this.context, || future.poll(task)),
        }
    }
}
