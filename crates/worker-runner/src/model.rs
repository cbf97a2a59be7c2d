//! What a chat model is to a worker: messages in, one message out.

use std::time::Duration;

use async_trait::async_trait;
use metrics_core::Usage;
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
}

/// Why a model call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The provider cannot be reached or broke off.
    #[error("model `{model}` could not be reached: {reason}")]
    Unreachable {
        /// The model asked for.
        model: String,
        /// What happened.
        reason: String,
    },
    /// The provider, or the model itself, refused or could not make sense of the request.
    #[error("model `{model}` refused the request: {reason}")]
    Refused {
        /// The model asked for.
        model: String,
        /// What it said.
        reason: String,
    },
}

/// A chat model. Backends implement this; the ReAct loop calls it.
///
/// # Contract
/// - Dropping the future cancels the call.
/// - An implementation records no event: whoever calls it does, so that one call is one event.
#[async_trait]
pub trait ChatModel: Send + Sync {
    /// The model's name as it shall appear on all three tiers.
    fn name(&self) -> &str;
    /// Answers the conversation.
    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatReply, ModelError>;
}
