//! Replies of OpenAI's chat completions.

use serde_json::{Value, json};

/// A reply of text. `usage` may be `null`.
pub fn text(text: &str, usage: Value) -> Value {
    completion(json!({"role": "assistant", "content": text}), "stop", usage)
}

/// A reply that asks for tools: id, name and arguments of each.
pub fn calls(calls: &[(&str, &str, &str)], usage: Value) -> Value {
    let calls = calls.iter().map(|(id, name, arguments)| {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    });
    let calls: Vec<_> = calls.collect();
    let message = json!({"role": "assistant", "content": null, "tool_calls": calls});
    completion(message, "tool_calls", usage)
}

/// A reply with this message and this reason for its end.
pub fn completion(message: Value, finish_reason: &str, usage: Value) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "stub",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
        "usage": usage,
    })
}

/// The same reply as a stream: text and arguments in two pieces, usage in an event of its own.
pub fn events(completion: &Value) -> Vec<String> {
    let choice = &completion["choices"][0];
    let message = &choice["message"];
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    for piece in halves(message["content"].as_str().unwrap_or_default()) {
        deltas.push(json!({"content": piece}));
    }
    for (index, call) in message["tool_calls"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let function = &call["function"];
        deltas.push(json!({"tool_calls": [{
            "index": index, "id": call["id"], "type": "function",
            "function": {"name": function["name"], "arguments": ""},
        }]}));
        for piece in halves(function["arguments"].as_str().unwrap_or_default()) {
            let delta = json!({"index": index, "function": {"arguments": piece}});
            deltas.push(json!({"tool_calls": [delta]}));
        }
    }
    let chunk = |choices: Value, usage: &Value| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "stub",
            "choices": choices, "usage": usage,
        })
    };
    let delta = |it| {
        chunk(
            json!([{"index": 0, "delta": it, "finish_reason": null}]),
            &Value::Null,
        )
    };
    let mut chunks: Vec<_> = deltas.into_iter().map(delta).collect();
    let end = json!([{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]);
    chunks.push(chunk(end, &Value::Null));
    let usage = &completion["usage"];
    if !usage.is_null() {
        chunks.push(chunk(json!([]), usage));
    }
    let events = chunks.iter().map(|it| format!("data: {it}\n\n"));
    events.chain(["data: [DONE]\n\n".to_owned()]).collect()
}

/// The two halves of a text, without empty ones.
pub(crate) fn halves(text: &str) -> impl Iterator<Item = &str> {
    let middle = text.char_indices().nth(text.chars().count() / 2);
    let (first, second) = text.split_at(middle.map_or(0, |it| it.0));
    [first, second].into_iter().filter(|it| !it.is_empty())
}
