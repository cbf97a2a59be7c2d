//! Conversations there and back.

use serde_json::json;
use worker_runner::{ChatRequest, Message, Role, ToolDefinition, ToolRequest};

use super::request;

fn conversation() -> Vec<Message> {
    let call = |id: &str, arguments: &str| ToolRequest {
        id: id.to_owned(),
        name: "multiply".to_owned(),
        arguments: arguments.to_owned(),
    };
    vec![
        Message::text(Role::System, "You calculate."),
        Message::text(Role::User, "7*6?"),
        Message {
            tool_calls: vec![call("call_1", r#"{"x":7}"#), call("call_2", "nonsense")],
            ..Message::text(Role::Assistant, "")
        },
        Message::tool_output("call_1", "42"),
        Message::tool_output("call_2", "Error: no JSON"),
        Message::text(Role::Assistant, "42."),
        Message::text(Role::User, "Sure?"),
    ]
}

#[test]
fn a_conversation_is_the_same_in_rigs_words() {
    let messages = conversation();
    let tools = [ToolDefinition {
        name: "multiply".to_owned(),
        description: "Multiplies.".to_owned(),
        parameters: json!({"type": "object"}),
    }];
    let request = request(ChatRequest {
        messages: &messages,
        tools: &tools,
    });
    let request = serde_json::to_value(request.unwrap()).unwrap();
    let history = request["chat_history"].as_array().unwrap();
    let roles: Vec<_> = history
        .iter()
        .map(|it| it["role"].as_str().unwrap())
        .collect();
    assert_eq!(
        roles,
        ["system", "user", "assistant", "user", "assistant", "user"]
    );
    let calls = &history[2]["content"];
    assert_eq!(calls[0]["function"]["arguments"], json!({"x": 7}));
    assert_eq!(calls[1]["function"]["invalid_arguments"], "nonsense");
    // The outputs of one turn are one message, each with its call's id and tool.
    let outputs = &history[3]["content"];
    assert_eq!(outputs.as_array().unwrap().len(), 2);
    for (n, output) in outputs.as_array().unwrap().iter().enumerate() {
        assert_eq!(output["call"], calls[n]["id"]);
        assert_eq!(output["name"], "multiply");
    }
    assert_eq!(request["tools"][0]["name"], "multiply");
}

#[test]
fn what_rig_does_not_take_is_refused_in_words() {
    let refusal = |messages: &[Message]| {
        let tools = &[];
        request(ChatRequest { messages, tools }).unwrap_err()
    };
    let stray = Message::tool_output("call_9", "42");
    assert!(refusal(&[stray]).contains("`call_9`"));
    let mut nameless = conversation();
    nameless[2].tool_calls[0].name.clear();
    assert!(refusal(&nameless).contains("empty"));
}
