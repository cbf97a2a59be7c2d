//! Replies of Anthropic's messages.

use serde_json::{Value, json};

use crate::openai::halves;

/// A reply of text. `usage` may be `null`.
pub fn text(text: &str, usage: Value) -> Value {
    message(json!([{"type": "text", "text": text}]), "end_turn", usage)
}

/// A reply that asks for tools: id, name and input of each.
pub fn calls(calls: &[(&str, &str, Value)], usage: Value) -> Value {
    let calls = calls.iter().map(
        |(id, name, input)| json!({"type": "tool_use", "id": id, "name": name, "input": input}),
    );
    message(calls.collect(), "tool_use", usage)
}

/// A reply with these blocks and this reason for its end.
pub fn message(content: Value, stop_reason: &str, usage: Value) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "stub", "content": content,
        "stop_reason": stop_reason, "stop_sequence": null, "usage": usage,
    })
}

/// The same reply as a stream: text and input in two pieces; what the prompt took at the beginning, the reply's tokens at
/// the end.
pub fn events(message: &Value) -> Vec<String> {
    let mut usage = message["usage"].clone();
    let output = usage
        .as_object_mut()
        .and_then(|it| it.insert("output_tokens".to_owned(), 1.into()));
    let mut start = message.clone();
    (start["content"], start["stop_reason"]) = (json!([]), Value::Null);
    start["usage"] = usage;
    let mut events = vec![
        json!({"type": "message_start", "message": start}),
        json!({"type": "ping"}),
    ];
    for (index, block) in message["content"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        let mut empty = block.clone();
        let (kind, key, pieces) = if block["type"] == "text" {
            empty["text"] = "".into();
            let text = block["text"].as_str().unwrap_or_default();
            ("text_delta", "text", text.to_owned())
        } else {
            empty["input"] = json!({});
            (
                "input_json_delta",
                "partial_json",
                block["input"].to_string(),
            )
        };
        events.push(json!({"type": "content_block_start", "index": index, "content_block": empty}));
        for piece in halves(&pieces) {
            let delta = json!({"type": kind, key: piece});
            events.push(json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let delta = json!({"stop_reason": message["stop_reason"], "stop_sequence": null});
    let mut end = json!({"type": "message_delta", "delta": delta});
    if let Some(output) = output {
        end["usage"] = json!({"output_tokens": output});
    }
    events.push(end);
    events.push(json!({"type": "message_stop"}));
    let named = |it: &Value| {
        format!(
            "event: {}\ndata: {it}\n\n",
            it["type"].as_str().unwrap_or_default()
        )
    };
    events.iter().map(named).collect()
}
