//! Conversations, in rig's words and in ours.

use std::collections::HashMap;

use rig_core::{
    completion::{CompletionRequest, CompletionResponse, ToolDefinition},
    message::{
        AssistantContent, AssistantMessage, CallId, Message as RigMessage, ToolCall, ToolFunction,
        ToolName, ToolResult, ToolResultContent,
    },
};
use worker_runner::{ChatRequest, Message, Role, ToolRequest};

/// A request as rig takes it; the error says what it does not take.
pub(crate) fn request(request: ChatRequest<'_>) -> Result<CompletionRequest, String> {
    let mut history = Vec::new();
    // What the calls so far are called: a result names its tool.
    let mut calls: HashMap<&str, (CallId, ToolName)> = HashMap::new();
    let mut results: Vec<ToolResult> = Vec::new();
    for message in request.messages {
        if message.role != Role::Tool && !results.is_empty() {
            history.push(RigMessage::tool_results(std::mem::take(&mut results)));
        }
        match message.role {
            Role::System => history.push(RigMessage::system(&*message.content)),
            Role::User => history.push(RigMessage::user(&*message.content)),
            Role::Assistant => {
                let mut content = Vec::new();
                if !message.content.is_empty() {
                    content.push(AssistantContent::text(&*message.content));
                }
                for call in &message.tool_calls {
                    let name = name(&call.name)?;
                    let function = ToolFunction::parse(name.clone(), &call.arguments);
                    let rigs = ToolCall::from_wire(&*call.id, function);
                    calls.insert(&call.id, (rigs.id.clone(), name));
                    content.push(AssistantContent::ToolCall(rigs));
                }
                if !content.is_empty() {
                    history.push(RigMessage::Assistant(AssistantMessage::new(content)));
                }
            }
            Role::Tool => {
                let id = message.tool_call_id.as_deref().unwrap_or_default();
                let (call, name) = calls.get(id).cloned().ok_or_else(|| {
                    format!("an output answers the call `{id}`, which nobody made")
                })?;
                results.push(ToolResult {
                    call,
                    name,
                    content: vec![ToolResultContent::text(&*message.content)],
                    is_error: false,
                });
            }
        }
    }
    if !results.is_empty() {
        history.push(RigMessage::tool_results(results));
    }
    let mut res = CompletionRequest::new("");
    res.chat_history = history;
    for tool in request.tools {
        let tool = ToolDefinition::new(
            name(&tool.name)?,
            &*tool.description,
            tool.parameters.clone(),
        );
        res.tools.push(tool);
    }
    Ok(res)
}

fn name(name: &str) -> Result<ToolName, String> {
    ToolName::new(name).map_err(|error| error.to_string())
}

/// The assistant's message.
pub(crate) fn reply(response: &CompletionResponse) -> Message {
    let calls = response.tool_calls().map(|call| ToolRequest {
        id: call.id.to_string(),
        name: call.function.name.to_string(),
        // As the model wrote them, where they were not what they should be: the loop tells it.
        arguments: (call.function.invalid_arguments.clone())
            .unwrap_or_else(|| call.function.arguments_value().to_string()),
    });
    Message {
        tool_calls: calls.collect(),
        ..Message::text(Role::Assistant, response.text())
    }
}

#[cfg(test)]
mod tests;
