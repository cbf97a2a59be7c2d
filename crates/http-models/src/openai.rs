//! OpenAI's chat completions: requests, whole answers and streamed ones.
//!
//! Source: OpenAI's API reference, "Chat Completions"; read as widely as the servers that imitate it write it.

use std::str::FromStr as _;

use metrics_core::{Decimal, Usage};
use serde_json::{Value, json};
use worker_runner::{ChatRequest, Message, ModelError, Role};

use crate::{
    draft::{Draft, arguments_object, count, text},
    failure,
    options::HttpModelOptions,
};

/// The data of the event that ends a stream.
const DONE: &str = "[DONE]";

/// The body of a request.
pub(crate) fn request(request: ChatRequest<'_>, options: &HttpModelOptions) -> Value {
    let messages: Vec<_> = request.messages.iter().map(message).collect();
    let mut body = json!({"model": options.model, "messages": messages});
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|it| {
            json!({"type": "function", "function": {
                "name": it.name, "description": it.description, "parameters": it.parameters,
            }})
        });
        body["tools"] = tools.collect();
    }
    if let Some(tokens) = options.max_reply_tokens {
        body["max_completion_tokens"] = tokens.into();
    }
    if options.stream {
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
    }
    body
}

fn message(message: &Message) -> Value {
    let content = &message.content;
    match message.role {
        Role::System => json!({"role": "system", "content": content}),
        Role::User => json!({"role": "user", "content": content}),
        Role::Tool => json!({
            "role": "tool", "tool_call_id": message.tool_call_id, "content": content,
        }),
        Role::Assistant if message.tool_calls.is_empty() => {
            json!({"role": "assistant", "content": content})
        }
        Role::Assistant => {
            let calls = message.tool_calls.iter().map(|it| {
                // Servers with a template of their own parse these, and would refuse the whole conversation.
                let arguments = arguments_object(&it.arguments).to_string();
                json!({"id": it.id, "type": "function", "function": {
                    "name": it.name, "arguments": arguments,
                }})
            });
            let content = (!content.is_empty()).then_some(content);
            json!({
                "role": "assistant", "content": content, "tool_calls": calls.collect::<Vec<_>>(),
            })
        }
    }
}

/// Reads a whole answer.
pub(crate) fn answer(body: &Value) -> Result<Draft, ModelError> {
    failure::in_answer(body)?;
    let mut draft = Draft::default();
    let choice = &body["choices"][0];
    if !choice.is_object() {
        return Err(failure::no_reply(body));
    }
    let message = &choice["message"];
    add_text(&mut draft, message);
    for (n, call) in items(&message["tool_calls"]).enumerate() {
        draft.start_call(n as u64)?;
        add_to_call(&mut draft, n as u64, call)?;
    }
    finish(&mut draft, choice);
    usage(&mut draft, &body["usage"]);
    draft.is_whole = true;
    Ok(draft)
}

/// Reads one event of a streamed answer.
pub(crate) fn event(draft: &mut Draft, data: &str) -> Result<(), ModelError> {
    if data.trim() == DONE {
        // A server that writes this has said all, with or without a reason for the end.
        (draft.is_whole, draft.is_over) = (true, true);
        return Ok(());
    }
    let chunk = failure::parse_event(data)?;
    failure::in_answer(&chunk)?;
    let choice = &chunk["choices"][0];
    let delta = &choice["delta"];
    add_text(draft, delta);
    for call in items(&delta["tool_calls"]) {
        let index = match call["index"].as_u64() {
            Some(index) => index,
            // A server that does not number them sends each in one piece, with an id.
            None if text(&call["id"]).is_empty() => draft.calls.last().map_or(0, |it| it.index),
            None => draft
                .calls
                .last()
                .map_or(0, |it| it.index.saturating_add(1)),
        };
        add_to_call(draft, index, call)?;
    }
    finish(draft, choice);
    usage(draft, &chunk["usage"]);
    Ok(())
}

/// The text of a message or of a piece of one: a string, or parts of which those of type `text` count. A refusal is text
/// of its own.
fn add_text(draft: &mut Draft, message: &Value) {
    match &message["content"] {
        Value::String(content) => draft.text.push_str(content),
        content => {
            for part in items(content).filter(|it| text(&it["type"]) == "text") {
                draft.text.push_str(text(&part["text"]));
            }
        }
    }
    draft.text.push_str(text(&message["refusal"]));
}

/// Adds a tool call or a piece of one.
fn add_to_call(draft: &mut Draft, index: u64, piece: &Value) -> Result<(), ModelError> {
    let call = draft.call(index)?;
    let function = &piece["function"];
    for (to, from) in [
        (&mut call.id, &piece["id"]),
        (&mut call.name, &function["name"]),
    ] {
        // Some servers repeat both in every piece.
        if to.is_empty() {
            to.push_str(text(from));
        }
    }
    match &function["arguments"] {
        Value::String(arguments) => call.arguments.push_str(arguments),
        Value::Null => {}
        object => call.arguments = object.to_string(),
    }
    Ok(())
}

fn finish(draft: &mut Draft, choice: &Value) {
    let reason = text(&choice["finish_reason"]);
    if reason.is_empty() {
        return;
    }
    draft.is_whole = true;
    draft.cut_short = match reason {
        "length" => Some("the token limit of one reply".to_owned()),
        "content_filter" => Some("the provider's content filter".to_owned()),
        _ => None,
    };
}

/// Counts as reported. A stream may report several times; the last one counts.
fn usage(draft: &mut Draft, usage: &Value) {
    if !usage.is_object() {
        return;
    }
    let prompt = &usage["prompt_tokens_details"];
    draft.usage = Usage {
        prompt_tokens: count(&usage["prompt_tokens"]),
        completion_tokens: count(&usage["completion_tokens"]),
        total_tokens: count(&usage["total_tokens"]),
        // DeepSeek's name for it comes second.
        cached_tokens: count(&prompt["cached_tokens"])
            .or_else(|| count(&usage["prompt_cache_hit_tokens"])),
        cache_write_tokens: count(&prompt["cache_write_tokens"]),
        reasoning_tokens: count(&usage["completion_tokens_details"]["reasoning_tokens"]),
    }
    .with_total();
    // OpenRouter's; a number as it is written, so that money is no float.
    let cost = &usage["cost"];
    draft.cost_usd = match cost {
        Value::Number(cost) => decimal(&cost.to_string()),
        _ => None,
    };
}

fn decimal(text: &str) -> Option<Decimal> {
    Decimal::from_str(text)
        .or_else(|_| Decimal::from_scientific(text))
        .ok()
        .filter(|it| !it.is_sign_negative())
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
