//! The ReAct loop: ask the model, run the tools it asks for, until it answers.

use std::{
    any::Any,
    fmt,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use metrics_collector::tool_call;
use metrics_core::{ErrorText, LlmCall, Phase};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::{
    agent::{Agent, AgentContext, AgentError},
    lifecycle::WorkerEvent,
    limits::{LimitReached, ReactLimits},
    model::{ChatModel, ChatReply, ChatRequest, Message, Role, ToolRequest},
    result::cut,
    retry::{self, RetryPolicy},
    tool::{Tool, ToolDefinition, ToolError},
    tool_context::ToolContext,
};

/// An agent made of a model and tools.
pub struct ReactAgent {
    model: Arc<dyn ChatModel>,
    tools: Vec<Arc<dyn Tool>>,
    definitions: Vec<ToolDefinition>,
    system_prompt: Option<String>,
    limits: ReactLimits,
    retry: RetryPolicy,
}

impl ReactAgent {
    /// An agent that asks `model` and lets it use `tools`.
    pub fn new(model: Arc<dyn ChatModel>, tools: Vec<Arc<dyn Tool>>) -> Self {
        Self {
            definitions: tools.iter().map(|it| it.definition().clone()).collect(),
            model,
            tools,
            system_prompt: None,
            limits: ReactLimits::default(),
            retry: RetryPolicy::default(),
        }
    }

    /// Puts `prompt` before the task.
    #[must_use]
    pub fn system_prompt(mut self, prompt: impl Into<String>) -> Self {
        self.system_prompt = Some(prompt.into());
        self
    }

    /// Ends a worker that reaches one of `limits`.
    #[must_use]
    pub fn limits(mut self, limits: ReactLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Asks the model again as `retry` says; its default unless told otherwise.
    #[must_use]
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    async fn ask(&self, context: &AgentContext, first: bool) -> Result<ChatReply, AgentError> {
        let messages = context.messages();
        let request = ChatRequest {
            messages: &messages,
            tools: &self.definitions,
        };
        let phase = if first {
            Phase::INITIAL
        } else {
            Phase::TOOL_DECISION
        };
        let (model, until) = (&*self.model, context.deadline());
        let reply = retry::ask(model, phase, request, &self.retry, until, |reply, call| {
            // Only the reply tells whether a later turn was the last one.
            if !first && reply.message.tool_calls.is_empty() {
                call.phase = Phase::SYNTHESIS;
            }
        });
        Ok(reply.await?)
    }

    /// Takes turns with the model until it answers, or may not be asked again.
    async fn work(&self, context: &AgentContext) -> Result<(), AgentError> {
        let mut tokens = 0_u64;
        for step in 0.. {
            self.limits.check(step, tokens)?;
            let reply = self.ask(context, step == 0).await?;
            tokens = tokens.saturating_add(reply.usage.total_tokens.unwrap_or_default());
            let requests = reply.message.tool_calls.clone();
            context.say(reply.message);
            if requests.is_empty() {
                if let Some(reason) = reply.cut_short {
                    context.note(format!("Cut short: {reason}."));
                }
                return Ok(());
            }
            self.call_tools(&requests, context).await?;
        }
        Ok(())
    }

    /// Runs one turn's calls side by side, as many as may; their outputs stand in the order of the requests. A critical
    /// failure ends those that still run: a slow one must not hold it up.
    async fn call_tools(
        &self,
        requests: &[ToolRequest],
        context: &AgentContext,
    ) -> Result<(), AgentError> {
        let may_run = Semaphore::new(self.limits.parallel_tool_calls.get());
        let may_run = &may_run;
        let calls = requests.iter().enumerate();
        let mut calls: FuturesUnordered<_> = calls
            .map(|(n, request)| async move {
                // Nobody closes it; a permit is given back when the call has ended.
                let _permit = may_run.acquire().await;
                (n, self.call_tool(request, context).await)
            })
            .collect();
        let mut outputs = Outputs {
            requests,
            so_far: vec![None; requests.len()],
            context,
        };
        let mut critical = None;
        while let Some((n, output)) = calls.next().await {
            match output {
                Ok(output) => outputs.so_far[n] = Some(output),
                Err(error) => {
                    outputs.so_far[n] = Some(format!("Error: {error}"));
                    critical = Some(error);
                    break;
                }
            }
        }
        drop(calls);
        for output in &mut outputs.so_far {
            output.get_or_insert_with(|| "Error: cancelled".to_owned());
        }
        drop(outputs);
        critical.map_or(Ok(()), Err)
    }

    /// Runs one tool call and gives its output as the model shall read it.
    async fn call_tool(
        &self,
        request: &ToolRequest,
        context: &AgentContext,
    ) -> Result<String, AgentError> {
        let (tool, tool_call_id) = (&request.name, &request.id);
        context.send(|| WorkerEvent::ToolStarted {
            tool: tool.clone(),
            tool_call_id: tool_call_id.clone(),
        });
        let started = Instant::now();
        let artifacts = ToolContext::new(context, tool);
        // A model may call anything by any name.
        let written = context.redactor();
        let (name, id) = (written.text(tool), written.text(tool_call_id));
        let result = tool_call(&*name, self.invoke(request, &artifacts))
            .tool_call_id(&*id)
            .await;
        let duration = started.elapsed();
        report(request, &result, duration, &artifacts);
        match result {
            Ok(output) => Ok(output),
            Err(CallFailure::Tool(error)) if error.is_critical() => Err(AgentError::Tool {
                tool: tool.clone(),
                error,
            }),
            Err(failure) => Ok(format!("Error: {}", failure.in_full())),
        }
    }

    async fn invoke(
        &self,
        request: &ToolRequest,
        artifacts: &ToolContext<'_>,
    ) -> Result<String, CallFailure> {
        let found = self
            .tools
            .iter()
            .find(|it| it.definition().name == request.name);
        let Some(tool) = found else {
            return Err(CallFailure::Tool(self.unknown_tool(&request.name)));
        };
        let arguments = parse_arguments(&request.arguments).map_err(CallFailure::Tool)?;
        // Async blocks run nothing before they are polled, so that a panic in `call` itself is caught too.
        AssertUnwindSafe(async { tool.call_for(arguments, artifacts).await })
            .catch_unwind()
            .await
            .map_err(|panic| CallFailure::Panicked(panic_text(&*panic)))?
            .map_err(CallFailure::Tool)
    }

    fn unknown_tool(&self, name: &str) -> ToolError {
        let known: Vec<_> = self.definitions.iter().map(|it| &*it.name).collect();
        let advice = match known[..] {
            [] => "there are none; answer without one".to_owned(),
            _ => format!("use one of {}", known.join(", ")),
        };
        ToolError::BadArguments(format!("there is no tool `{}`; {advice}", cut(name, 100)))
    }
}

/// What the calls of one turn answered. They are said in the order of the requests when this goes: where the worker is
/// stopped in the middle of a turn, those that there are.
struct Outputs<'a> {
    requests: &'a [ToolRequest],
    so_far: Vec<Option<String>>,
    context: &'a AgentContext,
}

impl Drop for Outputs<'_> {
    fn drop(&mut self) {
        for (request, output) in self.requests.iter().zip(self.so_far.drain(..)) {
            if let Some(output) = output {
                self.context.say(Message::tool_output(&request.id, output));
            }
        }
    }
}

#[async_trait]
impl Agent for ReactAgent {
    fn model(&self) -> Option<&str> {
        Some(self.model.name())
    }

    async fn run(&self, task: &str, context: &AgentContext) -> Result<(), AgentError> {
        if let Some(prompt) = &self.system_prompt {
            context.say(Message::text(Role::System, prompt));
        }
        context.say(Message::text(Role::User, task));
        let work = self.work(context);
        let ended = match self.limits.wall_time {
            None => work.await,
            Some(limit) => match tokio::time::timeout(limit, work).await {
                Ok(ended) => ended,
                Err(_) => Err(LimitReached::WallTime(limit).into()),
            },
        };
        if let Err(AgentError::Limit(limit)) = &ended {
            context.stopped(format!("Stopped: {limit}."));
        }
        ended
    }
}

impl fmt::Debug for ReactAgent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReactAgent")
            .field("model", &self.model.name())
            .field("tools", &self.definitions)
            .finish_non_exhaustive()
    }
}

/// Keeps a call's output, and tells whoever listens.
fn report(
    request: &ToolRequest,
    result: &Result<String, CallFailure>,
    duration: Duration,
    artifacts: &ToolContext<'_>,
) {
    let context = artifacts.agent();
    let (tool, tool_call_id) = (request.name.clone(), request.id.clone());
    match result {
        Ok(output) => {
            artifacts.save_output(output);
            context.send(|| WorkerEvent::ToolCompleted {
                tool,
                tool_call_id,
                duration,
            });
        }
        Err(failure) => {
            let error = context.redactor().text(&failure.in_full()).into_owned();
            artifacts.save_output(&format!("Error: {error}"));
            context.send(|| WorkerEvent::ToolFailed {
                tool,
                tool_call_id,
                duration,
                error,
            });
        }
    }
}

impl ChatReply {
    /// Copies what the provider reported into an event.
    pub(crate) fn describe(&self, call: &mut LlmCall<'_>) {
        call.usage = self.usage;
        call.ttft_ms = self.ttft.and_then(|it| u64::try_from(it.as_millis()).ok());
        if let Some(provider) = self.provider.clone() {
            call.provider = Some(provider.into());
        }
        call.cost_usd = self.cost_usd;
    }
}

/// A model that takes no arguments may write none at all.
fn parse_arguments(text: &str) -> Result<Value, ToolError> {
    if text.trim().is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    serde_json::from_str(text).map_err(|error| {
        ToolError::BadArguments(format!("the arguments are not valid JSON: {error}"))
    })
}

/// Why a tool call failed; as an event says it, a panic is just that.
enum CallFailure {
    Tool(ToolError),
    Panicked(String),
}

impl CallFailure {
    fn in_full(&self) -> String {
        match self {
            Self::Tool(error) => error.to_string(),
            Self::Panicked(message) => format!("the tool panicked: {message}"),
        }
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(error) => error.fmt(f),
            Self::Panicked(_) => ErrorText::PANICKED.fmt(f),
        }
    }
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_owned()
}
