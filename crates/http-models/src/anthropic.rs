//! Anthropic's messages: requests, whole answers and streamed ones.
//!
//! Source: Anthropic's API reference, "Messages" and "Streaming Messages".

use metrics_core::Usage;
use serde_json::{Value, json};
use worker_runner::{ChatRequest, ModelError, Role};

use crate::{
    draft::{Call, Draft, arguments_object, count, text},
    failure,
    options::HttpModelOptions,
};

/// The version of the API that this speaks.
pub(crate) const VERSION: &str = "2023-06-01";
/// It wants a limit in every request.
const MAX_REPLY_TOKENS: u32 = 8192;

/// The body of a request.
pub(crate) fn request(request: ChatRequest<'_>, options: &HttpModelOptions) -> Value {
    let (system, messages) = conversation(request);
    let mut body = json!({
        "model": options.model,
        "max_tokens": options.max_reply_tokens.unwrap_or(MAX_REPLY_TOKENS),
        "messages": messages,
    });
    if !system.is_empty() {
        body["system"] = system.into();
    }
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|it| {
            json!({
                "name": it.name, "description": it.description, "input_schema": it.parameters,
            })
        });
        body["tools"] = tools.collect();
    }
    if options.stream {
        body["stream"] = true.into();
    }
    body
}

/// The system prompt, and messages in which user and assistant take turns: the outputs of one turn's tools are one message.
fn conversation(request: ChatRequest<'_>) -> (String, Vec<Value>) {
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in request.messages {
        let content = &message.content;
        // An empty text block would be refused.
        let block =
            |it: &String| (!it.trim().is_empty()).then(|| json!({"type": "text", "text": it}));
        let (role, blocks) = match message.role {
            Role::System => {
                system.push(content.clone());
                continue;
            }
            Role::User => ("user", block(content).into_iter().collect()),
            Role::Tool => {
                let result = json!({
                    "type": "tool_result", "tool_use_id": message.tool_call_id, "content": content,
                });
                ("user", vec![result])
            }
            Role::Assistant => {
                let calls = message.tool_calls.iter().map(|it| {
                    json!({
                        "type": "tool_use", "id": it.id, "name": it.name,
                        "input": arguments_object(&it.arguments),
                    })
                });
                let blocks: Vec<_> = block(content).into_iter().chain(calls).collect();
                ("assistant", blocks)
            }
        };
        match turns.last_mut() {
            Some((last, turn)) if *last == role => turn.extend(blocks),
            _ if blocks.is_empty() => {}
            _ => turns.push((role, blocks)),
        }
    }
    let turns = turns.into_iter();
    let messages = turns.map(|(role, content)| json!({"role": role, "content": content}));
    (system.join("\n\n"), messages.collect())
}

/// Reads a whole answer.
pub(crate) fn answer(body: &Value) -> Result<Draft, ModelError> {
    failure::in_answer(body)?;
    let Some(blocks) = body["content"].as_array() else {
        return Err(failure::no_reply(body));
    };
    let mut draft = Draft::default();
    for (n, block) in blocks.iter().enumerate() {
        start_block(&mut draft, n as u64, block)?;
    }
    // Nothing follows here, so an empty input is all there is.
    for call in draft.calls.iter_mut().filter(|it| it.arguments.is_empty()) {
        call.arguments.push_str("{}");
    }
    stop_reason(&mut draft, &body["stop_reason"]);
    usage(&mut draft, &body["usage"]);
    draft.is_whole = true;
    Ok(draft)
}

/// Reads one event of a streamed answer.
pub(crate) fn event(draft: &mut Draft, data: &str) -> Result<(), ModelError> {
    let event = failure::parse_event(data)?;
    let index = event["index"].as_u64().unwrap_or_default();
    match text(&event["type"]) {
        "message_start" => usage(draft, &event["message"]["usage"]),
        "content_block_start" => start_block(draft, index, &event["content_block"])?,
        "content_block_delta" => {
            let delta = &event["delta"];
            match text(&delta["type"]) {
                "text_delta" => draft.text.push_str(text(&delta["text"])),
                "input_json_delta" => {
                    let piece = text(&delta["partial_json"]);
                    draft.call(index)?.arguments.push_str(piece);
                }
                _ => {} // Thinking, its signatures, citations.
            }
        }
        "message_delta" => {
            stop_reason(draft, &event["delta"]["stop_reason"]);
            usage(draft, &event["usage"]);
        }
        "message_stop" => (draft.is_whole, draft.is_over) = (true, true),
        // `error` among them; events of other types may join at any time and are passed over.
        _ => failure::in_answer(&event)?,
    }
    Ok(())
}

/// Adds a content block; in a stream it is mostly empty, and its deltas follow.
fn start_block(draft: &mut Draft, index: u64, block: &Value) -> Result<(), ModelError> {
    match text(&block["type"]) {
        "text" => draft.text.push_str(text(&block["text"])),
        "tool_use" => {
            let input = match &block["input"] {
                Value::Object(input) if input.is_empty() => String::new(),
                Value::Null => String::new(),
                input => input.to_string(),
            };
            *draft.start_call(index)? = Call {
                index,
                id: text(&block["id"]).to_owned(),
                name: text(&block["name"]).to_owned(),
                arguments: input,
            };
        }
        _ => {}
    }
    Ok(())
}

fn stop_reason(draft: &mut Draft, reason: &Value) {
    let reason = text(reason);
    if reason.is_empty() {
        return;
    }
    draft.is_whole = true;
    draft.cut_short = match reason {
        "max_tokens" | "model_context_window_exceeded" => {
            Some("the token limit of one reply".to_owned())
        }
        "refusal" => Some("the model refused to go on".to_owned()),
        _ => None,
    };
}

/// Counts brought to OpenAI's meaning: `input_tokens` are those that no cache had a part in. A stream reports twice, the
/// second time as running totals of what it names.
fn usage(draft: &mut Draft, usage: &Value) {
    if !usage.is_object() {
        return;
    }
    let before = draft.usage;
    let cached = count(&usage["cache_read_input_tokens"]).or(before.cached_tokens);
    let written = count(&usage["cache_creation_input_tokens"]).or(before.cache_write_tokens);
    let uncached = count(&usage["input_tokens"]).or_else(|| {
        let parts = |it: Usage| Some((it.cached_tokens?, it.cache_write_tokens?));
        let (cached, written) = parts(before).unwrap_or_default();
        before
            .prompt_tokens?
            .checked_sub(cached)?
            .checked_sub(written)
    });
    let prompt = uncached.map(|it| {
        it.saturating_add(cached.unwrap_or_default())
            .saturating_add(written.unwrap_or_default())
    });
    draft.usage = Usage {
        prompt_tokens: prompt,
        completion_tokens: count(&usage["output_tokens"]).or(before.completion_tokens),
        total_tokens: None,
        cached_tokens: cached,
        cache_write_tokens: written,
        reasoning_tokens: None,
    }
    .with_total();
}
