//! The model: one conversation in, the next message out.

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use worker_runner::{ChatModel, ChatReply, ChatRequest, Message, ModelError, Role, ToolRequest};

use crate::{answer, plan::Plan, progress::Progress, summary, supervise};

/// The name of [`OfflineModel`] on all three tiers.
pub const OFFLINE_MODEL: &str = "offline-rules";

/// A rule-based stand-in for a language model; the crate's page has its rules.
///
/// It keeps nothing between calls, so one serves any number of workers. A call takes time in proportion
/// to the conversation, never fails, and reports no usage.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfflineModel {}

impl OfflineModel {
    /// The model; it has no options.
    pub fn new() -> Self {
        Self {}
    }
}

#[async_trait]
impl ChatModel for OfflineModel {
    fn name(&self) -> &'static str {
        OFFLINE_MODEL
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatReply, ModelError> {
        Ok(ChatReply::new(reply(request)))
    }
}

pub(crate) fn reply(request: ChatRequest<'_>) -> Message {
    if let Some(text) = summary::text_to_summarize(request) {
        return Message::text(Role::Assistant, summary::summarize(text));
    }
    let task = request
        .messages
        .iter()
        .position(|message| message.role == Role::User);
    let (task, later) = match task {
        Some(at) => (
            request.messages[at].content.as_str(),
            &request.messages[at + 1..],
        ),
        None => ("", &[][..]),
    };
    if supervise::is_supervisor(request.tools) {
        return supervise::reply(task, later, request);
    }
    let plan = Plan::new(task);
    let progress = Progress::new(plan.wishes(), later, request.tools);
    let tool_calls = progress.next_requests(request.messages);
    if tool_calls.is_empty() {
        return Message::text(Role::Assistant, answer::answer(&plan, &progress));
    }
    asks_for(tool_calls)
}

/// A message that only asks for tools.
pub(crate) fn asks_for(tool_calls: Vec<ToolRequest>) -> Message {
    Message {
        tool_calls,
        ..Message::text(Role::Assistant, "")
    }
}
