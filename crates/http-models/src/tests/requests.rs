//! What a server is asked.

use serde_json::{Value, json};
use stub_server::Received;
use worker_runner::{ChatModel as _, ChatRequest, Message, Role, ToolDefinition, ToolRequest};

use super::support::{BOTH, KEY, options, serving, text};
use crate::{HttpModel, HttpModelOptions, Protocol};

fn conversation() -> Vec<Message> {
    let mut asks = Message::text(Role::Assistant, "");
    for (id, arguments) in [
        ("a", r#"{"expression":"7*6"}"#),
        ("b", "{not json"),
        ("c", ""),
    ] {
        asks.tool_calls.push(ToolRequest {
            id: id.to_owned(),
            name: "calculate".to_owned(),
            arguments: arguments.to_owned(),
        });
    }
    vec![
        Message::text(Role::System, "Be brief."),
        Message::text(Role::User, "What is 7*6?"),
        asks,
        Message::tool_output("a", "42"),
        Message::tool_output("b", "Error: bad arguments"),
        Message::tool_output("c", ""),
        Message::text(Role::Assistant, "42"),
        Message::text(Role::User, "Thanks."),
    ]
}

async fn request(protocol: Protocol, change: impl FnOnce(&mut HttpModelOptions)) -> Received {
    let server = serving(text(protocol, "42", Value::Null));
    let mut options = options(protocol, &server);
    change(&mut options);
    let model = HttpModel::new(options).unwrap();
    let tool = ToolDefinition {
        name: "calculate".to_owned(),
        description: "Calculates.".to_owned(),
        parameters: json!({"type": "object"}),
    };
    let request = ChatRequest {
        messages: &conversation(),
        tools: &[tool],
    };
    model.chat(request).await.unwrap();
    server.received().remove(0)
}

#[tokio::test]
async fn openai_s_form() {
    let request = request(Protocol::OpenAi, |_| ()).await;
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );
    let call = |id, arguments| json!({"id": id, "type": "function", "function": {"name": "calculate", "arguments": arguments}});
    assert_eq!(
        request.json(),
        json!({
            "model": "stub",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "What is 7*6?"},
                {"role": "assistant", "content": null, "tool_calls": [
                    call("a", r#"{"expression":"7*6"}"#),
                    call("b", r#"{"not_a_json_object":"{not json"}"#),
                    call("c", "{}"),
                ]},
                {"role": "tool", "tool_call_id": "a", "content": "42"},
                {"role": "tool", "tool_call_id": "b", "content": "Error: bad arguments"},
                {"role": "tool", "tool_call_id": "c", "content": ""},
                {"role": "assistant", "content": "42"},
                {"role": "user", "content": "Thanks."},
            ],
            "tools": [{"type": "function", "function": {
                "name": "calculate", "description": "Calculates.", "parameters": {"type": "object"},
            }}],
            "stream": true,
            "stream_options": {"include_usage": true},
        })
    );
}

#[tokio::test]
async fn anthropic_s_form() {
    let request = request(Protocol::Anthropic, |_| ()).await;
    assert_eq!(request.path, "/v1/messages");
    assert_eq!(request.header("x-api-key"), Some(KEY));
    assert_eq!(request.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(request.header("authorization"), None);
    let tool =
        |id, input| json!({"type": "tool_use", "id": id, "name": "calculate", "input": input});
    let output =
        |id, content| json!({"type": "tool_result", "tool_use_id": id, "content": content});
    assert_eq!(
        request.json(),
        json!({
            "model": "stub",
            "max_tokens": 8192,
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "What is 7*6?"}]},
                {"role": "assistant", "content": [
                    tool("a", json!({"expression": "7*6"})),
                    tool("b", json!({"not_a_json_object": "{not json"})),
                    tool("c", json!({})),
                ]},
                {"role": "user", "content": [
                    output("a", "42"), output("b", "Error: bad arguments"), output("c", ""),
                ]},
                {"role": "assistant", "content": [{"type": "text", "text": "42"}]},
                {"role": "user", "content": [{"type": "text", "text": "Thanks."}]},
            ],
            "tools": [{
                "name": "calculate", "description": "Calculates.", "input_schema": {"type": "object"},
            }],
            "stream": true,
        })
    );
}

#[tokio::test]
async fn what_is_switched_off_is_not_sent() {
    for protocol in BOTH {
        let request = request(protocol, |it| {
            it.stream = false;
            it.key = None;
            it.max_reply_tokens = Some(7);
        });
        let request = request.await;
        let body = request.json();
        assert_eq!(
            (&body["stream"], &body["stream_options"]),
            (&Value::Null, &Value::Null)
        );
        let limit = if protocol == Protocol::OpenAi {
            "max_completion_tokens"
        } else {
            "max_tokens"
        };
        assert_eq!(body[limit], 7);
        assert_eq!(
            (request.header("authorization"), request.header("x-api-key")),
            (None, None)
        );
    }
}

#[tokio::test]
async fn one_server_serves_more_than_one_model() {
    let server = serving(text(Protocol::OpenAi, "42", Value::Null));
    let model = HttpModel::new(options(Protocol::OpenAi, &server)).unwrap();
    let other = model.with_model("other");
    assert_eq!((model.name(), other.name()), ("stub", "other"));
    let request = ChatRequest {
        messages: &conversation(),
        tools: &[],
    };
    other.chat(request).await.unwrap();
    let received = server.received().remove(0);
    assert_eq!(received.json()["model"], "other");
    assert!(received.json().get("tools").is_none());
}
