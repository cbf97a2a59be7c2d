//! Whole conversations, with made-up tool outputs and with real tools.

use std::{fs, path::PathBuf};

use metrics_core::Usage;
use proptest::prelude::*;
use worker_runner::{ChatModel, ChatRequest, Message, Role, ToolDefinition, ToolRequest};
use worker_tools::builtin_tools;

use super::{OFFLINE_MODEL, OfflineModel, reply};
use crate::MAX_STEPS;

fn offered() -> Vec<ToolDefinition> {
    builtin_tools(PathBuf::from("."))
        .iter()
        .map(|tool| tool.definition().clone())
        .collect()
}

/// Goes on with a conversation until the answer; also gives the names of the tools of each turn.
fn converse(
    mut messages: Vec<Message>,
    tools: &[ToolDefinition],
    output: impl Fn(&ToolRequest) -> String,
) -> (String, Vec<Vec<String>>) {
    let mut turns = Vec::new();
    loop {
        let message = reply(ChatRequest {
            messages: &messages,
            tools,
        });
        assert_eq!(message.role, Role::Assistant);
        if message.tool_calls.is_empty() {
            return (message.content, turns);
        }
        assert!(turns.len() < MAX_STEPS, "no end in sight");
        let calls = message.tool_calls.clone();
        turns.push(calls.iter().map(|it| it.name.clone()).collect());
        messages.push(message);
        messages.extend(
            calls
                .iter()
                .map(|it| Message::tool_output(&it.id, output(it))),
        );
    }
}

fn task(text: &str) -> Vec<Message> {
    vec![
        Message::text(Role::System, "You are a worker. fetch http://never/"),
        Message::text(Role::User, text),
    ]
}

fn canned(call: &ToolRequest) -> String {
    match call.name.as_str() {
        "calculate" if call.arguments.contains("/0") => {
            "Error: bad arguments: division by zero at character 2"
        }
        "calculate" => "42",
        "get_current_time" => "2025-12-15T04:08:08Z",
        "http_request" => "HTTP 200 OK\n\nhello\n",
        "shell_exec" => "hi\n",
        "read_file" => "some notes\n",
        _ => unreachable!(),
    }
    .to_owned()
}

#[tokio::test]
async fn the_model_says_who_it_is_and_counts_nothing() {
    let model = OfflineModel::new();
    assert_eq!(model.name(), OFFLINE_MODEL);
    let messages = task("calculate 7*6");
    let tools = offered();
    let request = ChatRequest {
        messages: &messages,
        tools: &tools,
    };
    let reply = model.chat(request).await.unwrap();
    assert_eq!(reply.usage, Usage::default());
    assert_eq!((reply.ttft, reply.provider), (None, None));
    assert_eq!(reply.message.content, "");
    assert_eq!(
        reply.message.tool_calls,
        [ToolRequest {
            id: "call_1".to_owned(),
            name: "calculate".to_owned(),
            arguments: r#"{"expression":"7*6"}"#.to_owned(),
        }]
    );
}

#[test]
fn a_calculation_is_answered() {
    let (answer, turns) = converse(task("calculate 7*6"), &offered(), canned);
    assert_eq!(answer, "The result is 42.");
    assert_eq!(turns, [["calculate"]]);
}

#[test]
fn parallel_steps_share_a_turn_and_then_begins_another() {
    let text = "fetch http://127.0.0.1:1234/x, run `sleep 0.1; echo hi`, read file notes.txt, \
                then calculate 6*7 and tell the time";
    let (answer, turns) = converse(task(text), &offered(), canned);
    assert_eq!(
        answer,
        "http://127.0.0.1:1234/x answered HTTP 200: hello\n\
         `sleep 0.1; echo hi` printed: hi\n\
         notes.txt says: some notes\n\
         The result is 42.\n\
         The time is 2025-12-15T04:08:08Z."
    );
    assert_eq!(
        turns,
        [
            vec!["http_request", "shell_exec", "read_file"],
            vec!["calculate", "get_current_time"],
        ]
    );
}

#[test]
fn a_failure_is_said_and_the_rest_is_done() {
    let text = "calculate 1/0, then calculate 40+2";
    let (answer, turns) = converse(task(text), &offered(), canned);
    assert_eq!(
        answer,
        "calculate 1/0 failed: bad arguments: division by zero at character 2\n\
         The result of 40+2 is 42."
    );
    assert_eq!(turns.len(), 2);
}

#[test]
fn empty_outputs_are_said() {
    let text = "run `true` and read x and fetch http://y/ and calculate 1";
    let empty = |call: &ToolRequest| match call.name.as_str() {
        "http_request" => "HTTP 204 No Content\n\n".to_owned(),
        _ => String::new(),
    };
    let (answer, _) = converse(task(text), &offered(), empty);
    assert_eq!(
        answer,
        "`true` printed nothing.\nx is empty.\nhttp://y/ answered HTTP 204 without a body.\n\
         calculate 1 gave no output."
    );
}

#[test]
fn what_needs_no_tool_is_answered_at_once() {
    let (answer, turns) = converse(task("say hello, world!"), &[], canned);
    assert_eq!(answer, "hello, world!");
    assert!(turns.is_empty());
    let (answer, _) = converse(task("Hello there, say hi"), &[], canned);
    assert_eq!(answer, "I have no rule for: Hello there\nhi");
}

#[test]
fn a_tool_that_is_not_offered_is_not_asked_for() {
    let tools: Vec<_> = offered()
        .into_iter()
        .filter(|tool| tool.name == "calculate")
        .collect();
    let text = "tell the time and run `ls`, then calculate 7*6";
    let (answer, turns) = converse(task(text), &tools, canned);
    assert_eq!(
        answer,
        "I have no tool to tell the time: `get_current_time` is not offered.\n\
         I have no tool to run `ls`: `shell_exec` is not offered.\n\
         The result is 42."
    );
    assert_eq!(turns, [["calculate"]]);
}

#[test]
fn a_task_without_a_rule_gets_the_list_of_rules() {
    for text in ["Investigate the outage", "", "\0", "🦀🦀"] {
        let (answer, turns) = converse(task(text), &offered(), canned);
        assert!(
            answer.starts_with("I am a small rule-based stand-in"),
            "{answer}"
        );
        assert!(
            answer.contains("calculate 7*6; tell the time; fetch"),
            "{answer}"
        );
        assert!(turns.is_empty());
    }
    let (answer, _) = converse(Vec::new(), &offered(), canned);
    assert!(
        answer.starts_with("I am a small rule-based stand-in"),
        "{answer}"
    );
}

#[test]
fn ids_go_on_where_the_conversation_is_and_foreign_calls_confuse_nothing() {
    let mut messages = task("calculate 7*6 and calculate 7*6");
    let foreign = ToolRequest {
        id: "call_7".to_owned(),
        name: "calculate".to_owned(),
        arguments: r#"{ "expression": "1" }"#.to_owned(),
    };
    messages.push(Message {
        tool_calls: vec![foreign],
        ..Message::text(Role::Assistant, "")
    });
    messages.push(Message::tool_output("call_7", "1"));
    let tools = offered();
    let request = ChatRequest {
        messages: &messages,
        tools: &tools,
    };
    let ids: Vec<_> = reply(request)
        .tool_calls
        .into_iter()
        .map(|it| it.id)
        .collect();
    assert_eq!(ids, ["call_8", "call_9"]);
    let outputs = |call: &ToolRequest| call.id.clone();
    let (answer, _) = converse(messages, &tools, outputs);
    assert_eq!(
        answer,
        "The result of 7*6 is call_8.\nThe result of 7*6 is call_9."
    );
}

#[test]
fn a_call_without_an_output_is_not_asked_for_again() {
    let mut messages = task("calculate 7*6");
    let tools = offered();
    let request = ChatRequest {
        messages: &messages,
        tools: &tools,
    };
    let asked = reply(request);
    messages.push(asked);
    let (answer, turns) = converse(messages, &tools, canned);
    assert_eq!(answer, "calculate 7*6 gave no output.");
    assert!(turns.is_empty());
}

#[test]
fn long_outputs_and_long_tasks_are_cut_and_say_so() {
    let long = |_: &ToolRequest| "x".repeat(1 << 20);
    let (answer, _) = converse(task("read x"), &offered(), long);
    assert_eq!(answer, format!("x says: {}…", "x".repeat(3999)));

    let text = "then say hi ".repeat(100_000) + &"then time ".repeat(100_000);
    let (answer, _) = converse(task(&text), &offered(), canned);
    assert!(answer.ends_with("\nI do at most 32 steps; the rest of the task is left out."));
}

#[test]
fn a_request_for_a_summary_gets_the_beginning() {
    let text = "Summarize the result in at most 150 characters.\n\nThe result is 42.";
    let mut messages = task("calculate 7*6");
    messages.push(Message::text(Role::User, text));
    let (answer, turns) = converse(messages, &[], canned);
    assert_eq!(answer, "The result is 42.");
    assert!(turns.is_empty());
}

#[tokio::test]
async fn the_real_tools_take_the_arguments() {
    let root = std::env::temp_dir().join(format!("offline-model-{}", std::process::id()));
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("notes.txt"), "some notes\n").unwrap();
    let tools = builtin_tools(root.clone());
    let definitions: Vec<_> = tools.iter().map(|it| it.definition().clone()).collect();
    let text = "calculate 0.1+0.2, run `cat notes.txt`, read notes.txt, time, fetch ftp://x/ \
                then run: exit 3";
    let mut messages = task(text);
    let answer = loop {
        let request = ChatRequest {
            messages: &messages,
            tools: &definitions,
        };
        let message = reply(request);
        if message.tool_calls.is_empty() {
            break message.content;
        }
        messages.push(message.clone());
        for call in message.tool_calls {
            let tool = tools
                .iter()
                .find(|it| it.definition().name == call.name)
                .unwrap();
            let arguments = serde_json::from_str(&call.arguments).unwrap();
            let output = tool
                .call(arguments)
                .await
                .unwrap_or_else(|err| format!("Error: {err}"));
            messages.push(Message::tool_output(call.id, output));
        }
    };
    fs::remove_dir_all(root).unwrap();
    let lines: Vec<_> = answer.lines().collect();
    assert_eq!(lines[0], "The result is 0.3.");
    assert_eq!(lines[1], "`cat notes.txt` printed: some notes");
    assert_eq!(lines[2], "notes.txt says: some notes");
    assert!(
        lines[3].starts_with("The time is 2") && lines[3].ends_with("Z."),
        "{answer}"
    );
    assert!(
        lines[4].starts_with("fetch ftp://x/ failed: bad arguments: `url` must"),
        "{answer}"
    );
    assert_eq!(lines[5], "run `exit 3` failed: exit code 3");
}

/// Texts that look like tasks.
fn any_task() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        ".{0,8}",
        Just("calculate ".to_owned()),
        Just("what is ".to_owned()),
        Just("7*6".to_owned()),
        Just("tell me the time".to_owned()),
        Just("fetch http://x/ ".to_owned()),
        Just("run `ls` ".to_owned()),
        Just("run: ls".to_owned()),
        Just("read the file x ".to_owned()),
        Just("say ".to_owned()),
        Just(" and ".to_owned()),
        Just(", ".to_owned()),
        Just(" then ".to_owned()),
        Just("`".to_owned()),
        Just("\n".to_owned()),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_task_ends_within_a_bound(text in any_task()) {
        // `converse` fails if it does not.
        let (answer, _) = converse(task(&text), &offered(), |_| "ok".to_owned());
        prop_assert!(!answer.is_empty());
    }

    #[test]
    fn any_text_ends_within_a_bound(text in "(?s).*", output in "(?s).*") {
        converse(task(&text), &offered(), |_| output.clone());
        converse(task(&format!("fetch {text}")), &offered(), |_| output.clone());
    }

    #[test]
    fn ids_are_unique(text in any_task()) {
        let ids = std::cell::RefCell::new(Vec::new());
        converse(task(&text), &offered(), |call| {
            ids.borrow_mut().push(call.id.clone());
            "ok".to_owned()
        });
        let expected: Vec<_> = (1..=ids.borrow().len()).map(|it| format!("call_{it}")).collect();
        prop_assert_eq!(ids.into_inner(), expected);
    }
}
