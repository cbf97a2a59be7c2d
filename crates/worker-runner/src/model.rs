//! What a chat model is to a worker: messages in, one message out.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use metrics_core::{Decimal, Usage};
use serde::{Deserialize, Serialize};

use crate::tool::ToolDefinition;

/// Who said a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that stand above the conversation.
    System,
    /// The task, or a person's turn.
    User,
    /// The model.
    Assistant,
    /// A tool's output, answering one [`ToolRequest`].
    Tool,
}

/// One message of a conversation; one line of a worker's `thread.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// The text; may be empty on an assistant message that only asks for tools.
    pub content: String,
    /// The tool calls an assistant message asks for, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolRequest>,
    /// On a tool message: the [`ToolRequest::id`] it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
}

impl Message {
    /// A message of plain text.
    pub fn text(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            tool_calls: Vec::new(),
            tool_call_id: None,
        }
    }

    /// A tool's output, answering the request with `tool_call_id`.
    pub fn tool_output(tool_call_id: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            tool_call_id: Some(tool_call_id.into()),
            ..Self::text(Role::Tool, content)
        }
    }
}

/// A model's wish to call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolRequest {
    /// The model's id for this call; its output carries the same.
    pub id: String,
    /// The tool's name, as the model wrote it; it may not exist.
    pub name: String,
    /// The arguments as the model wrote them: JSON text, possibly malformed.
    pub arguments: String,
}

/// What a model is asked.
#[derive(Debug, Clone, Copy)]
pub struct ChatRequest<'a> {
    /// The conversation so far, oldest first.
    pub messages: &'a [Message],
    /// The tools it may ask for; empty when it shall only answer.
    pub tools: &'a [ToolDefinition],
}

/// What a model answered.
#[derive(Debug, Clone)]
pub struct ChatReply {
    /// The assistant message.
    pub message: Message,
    /// Tokens as the provider counted them; all `None` where nothing counted them.
    pub usage: Usage,
    /// Time to the first token, where the reply was streamed.
    pub ttft: Option<Duration>,
    /// Who served the call, such as `openai`; `None` for a model that runs in this process.
    pub provider: Option<String>,
    /// What the call cost in US dollars, where the provider says so.
    pub cost_usd: Option<Decimal>,
    /// Why the message ends before its end, such as `the token limit of one reply`; `None` for a whole one.
    pub cut_short: Option<String>,
}

impl ChatReply {
    /// A whole reply of which nothing more is known.
    pub fn new(message: Message) -> Self {
        Self {
            message,
            usage: Usage::default(),
            ttft: None,
            provider: None,
            cost_usd: None,
            cut_short: None,
        }
    }
}

/// What kind of failure a model call met with; decides whether the same call may succeed a little later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorClass {
    /// No connection.
    Unreachable,
    /// No answer, or no more of it, in time.
    Timeout,
    /// The answer ended before its end.
    BrokenOff,
    /// The provider asks us to slow down.
    RateLimited,
    /// The provider failed, or has too much to do.
    ServerError,
    /// The key is missing, wrong, or not good for this.
    Unauthorized,
    /// The provider, or the model itself, does not take the request.
    Refused,
    /// The answer makes no sense.
    BadReply,
}

impl ErrorClass {
    /// The class as it begins the `error` of an event: `rate_limited`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::BrokenOff => "broken_off",
            Self::RateLimited => "rate_limited",
            Self::ServerError => "server_error",
            Self::Unauthorized => "unauthorized",
            Self::Refused => "refused",
            Self::BadReply => "bad_reply",
        }
    }

    /// Whether the same call may succeed a little later.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Unreachable
            | Self::Timeout
            | Self::BrokenOff
            | Self::RateLimited
            | Self::ServerError => true,
            Self::Unauthorized | Self::Refused | Self::BadReply => false,
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a model call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {reason}")]
pub struct ModelError {
    /// What kind of failure it is.
    pub class: ErrorClass,
    /// What happened, in words; never holds a key.
    pub reason: String,
    /// How long the provider asks us to wait before the next call.
    pub retry_after: Option<Duration>,
}

impl ModelError {
    /// A failure whose provider names no time to wait.
    pub fn new(class: ErrorClass, reason: impl Into<String>) -> Self {
        Self {
            class,
            reason: reason.into(),
            retry_after: None,
        }
    }
}

/// A chat model. Backends implement this; the ReAct loop calls it.
///
/// # Contract
/// - Dropping the future cancels the call.
/// - An implementation records no event: whoever calls it does, so that one call is one event.
/// - It does not retry either: whoever calls it does, so that every attempt is an event.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// The model's name as it shall appear on all three tiers.
    fn name(&self) -> &str;
    /// Who serves it, where that is known before the first reply; so failed calls can name it too.
    fn provider(&self) -> Option<&str> {
        None
    }
    /// Answers the conversation.
    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatReply, ModelError>;
}
