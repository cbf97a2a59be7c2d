//! What is written of a worker, without its secrets. What the worker's own model and tools see is not touched: they need it.

use std::borrow::Cow;

use redactor::Redactor;
use serde_json::{Map, Value};

use crate::model::{Message, ToolRequest};

pub(crate) fn message<'a>(redactor: &Redactor, message: &'a Message) -> Cow<'a, Message> {
    let text = |it: &str| redactor.text(it).into_owned();
    let is_clean = |it: &str| matches!(redactor.text(it), Cow::Borrowed(_));
    let mut texts = message
        .tool_calls
        .iter()
        .flat_map(|it| [&it.id, &it.name, &it.arguments])
        .chain(&message.tool_call_id)
        .chain([&message.content]);
    if texts.all(|it| is_clean(it)) {
        return Cow::Borrowed(message);
    }
    Cow::Owned(Message {
        role: message.role,
        content: text(&message.content),
        tool_calls: message
            .tool_calls
            .iter()
            .map(|it| ToolRequest {
                id: text(&it.id),
                name: text(&it.name),
                arguments: text(&it.arguments),
            })
            .collect(),
        tool_call_id: message.tool_call_id.as_deref().map(text),
    })
}

/// As text, so that names, lists of arguments and texts are seen as they stand together.
pub(crate) fn facts(redactor: &Redactor, facts: Map<String, Value>) -> Map<String, Value> {
    let facts = Value::Object(facts);
    match redactor.text(&facts.to_string()) {
        Cow::Borrowed(_) => into_map(facts),
        Cow::Owned(text) => serde_json::from_str(&text).map_or_else(|_| Map::new(), into_map),
    }
}

fn into_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
