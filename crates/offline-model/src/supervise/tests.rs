//! Where a goal is split, and whole conversations of a supervisor.

use insta::assert_snapshot;
use serde_json::{Value, json};
use worker_runner::{ChatRequest, Message, Role, ToolDefinition, ToolRequest};

use super::parts::Parts;
use crate::{MAX_STEPS, model::reply};

/// The parts, `|` between two turns.
fn parts(goal: &str) -> String {
    let mut res: Vec<String> = Vec::new();
    let mut last_turn = 0;
    for part in Parts::of(goal).parts {
        if part.turn != last_turn {
            last_turn = part.turn;
            res.push("|".to_owned());
        }
        res.push(format!("[{}]", part.task));
    }
    res.join(" ")
}

#[test]
fn a_goal_is_split_at_lines_sentences_semicolons_and_then() {
    for (goal, expected) in [
        ("calculate 7*6", "[calculate 7*6]"),
        (
            "calculate 7*6 and tell the time",
            "[calculate 7*6 and tell the time]",
        ),
        ("read a.txt; read b.txt", "[read a.txt] [read b.txt]"),
        (
            "read a.txt\n\n  read b.txt\r\n",
            "[read a.txt] [read b.txt]",
        ),
        (
            "Calculate 0.1+0.2. What is 2*3? Go!",
            "[Calculate 0.1+0.2.] [What is 2*3?] [Go!]",
        ),
        (
            "read a and then read b and Then read c",
            "[read a] | [read b] | [read c]",
        ),
        (
            "read a. Then read b; read c, then d",
            "[read a.] | [read b] [read c, then d]",
        ),
        (
            "run `a; b. c and then d`; time",
            "[run `a; b. c and then d`] [time]",
        ),
        (
            "1. read a\n2) read b\n- read c\n* read d, e",
            "[read a] [read b] [read c] [read d, e]",
        ),
        ("then read a", "[read a]"),
        ("salt and pepper", "[salt and pepper]"),
        ("2 apples", "[2 apples]"),
        ("", ""),
        (" ;\n. , and then", ""),
    ] {
        assert_eq!(parts(goal), expected, "{goal}");
    }
}

#[test]
fn more_parts_than_are_done_are_told() {
    let goal = "say x\n".repeat(MAX_STEPS + 1);
    let split = Parts::of(&goal);
    assert!(split.more && split.parts.len() == MAX_STEPS);
    assert!(!Parts::of(&goal["say x\n".len()..]).more);
    let answer = converse(&goal, |_| "Error: no.".to_owned()).1;
    assert!(
        answer.contains("I hand out at most 32 tasks; the rest of the goal is left out."),
        "{answer}"
    );
}

proptest::proptest! {
    #[test]
    fn any_goal_is_split_into_pieces_of_its_own(goal in "[a1.;,!\n `)-]{0,30}(and then|then)?.{0,20}") {
        let mut rest = &*goal;
        for part in Parts::of(&goal).parts {
            let at = rest.find(part.task).unwrap();
            rest = &rest[at + part.task.len()..];
            assert_eq!(part.task.trim(), part.task);
            assert!(!part.task.is_empty());
        }
    }
}

/// Goes on until the answer; also gives the calls of each turn.
fn converse(goal: &str, output: impl Fn(&ToolRequest) -> String) -> (Vec<Vec<String>>, String) {
    let tools = ["spawn_worker", "worker_metrics"].map(|name| ToolDefinition {
        name: name.to_owned(),
        description: String::new(),
        parameters: json!({"type": "object"}),
    });
    let mut messages = vec![
        Message::text(Role::System, "You are a supervisor."),
        Message::text(Role::User, goal),
    ];
    let mut turns = Vec::new();
    loop {
        let message = reply(ChatRequest {
            messages: &messages,
            tools: &tools,
        });
        let calls = message.tool_calls.clone();
        if calls.is_empty() {
            return (turns, message.content);
        }
        assert!(turns.len() < 10, "no end in sight");
        let shown = |it: &ToolRequest| format!("{} {}", it.name, it.arguments);
        turns.push(calls.iter().map(shown).collect());
        messages.push(message);
        let outputs = calls
            .iter()
            .map(|it| Message::tool_output(&it.id, output(it)));
        messages.extend(outputs);
    }
}

#[test]
fn workers_are_waited_for_and_the_slowest_is_looked_into() {
    let (turns, answer) = converse("run `a`; run `b`; run `c`\nthen run `d`", |call| {
        let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
        match arguments["task"].as_str() {
            None => format!("Metrics of worker job {}", arguments["job_id"]),
            Some("run `a`") => "Result from worker job 7 (worker x):\n\nExecution time: 98ms\n\nExecution time: 7777ms".to_owned(),
            Some("run `b`") => "Result from worker job 8 (worker y):\n\nExecution time: 1234ms (1.2s)\nStatus: timeout\nError: timed out after 1s\n\n(No result generated)".to_owned(),
            Some("run `c`") => "Error: the supervisor is shutting down".to_owned(),
            Some(_) => "Result from worker job 9 (worker z):\n\nExecution time: 0.42ms\n\nStatus: failed, says the result".to_owned(),
        }
    });
    assert_snapshot!(turns.concat().join("\n"), @r#"
    spawn_worker {"task":"run `a`","wait":true,"wait_seconds":604800}
    spawn_worker {"task":"run `b`","wait":true,"wait_seconds":604800}
    spawn_worker {"task":"run `c`","wait":true,"wait_seconds":604800}
    spawn_worker {"task":"run `d`","wait":true,"wait_seconds":604800}
    worker_metrics {"job_id":8,"max_tokens":300}
    "#);
    assert_eq!(turns.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1, 1]);
    assert_snapshot!(answer, @"
    2 of 4 tasks succeeded. Not: task 2 (timeout), task 3 (no result).

    Task 1: run `a`
    Result from worker job 7 (worker x):

    Execution time: 98ms

    Execution time: 7777ms

    Task 2: run `b`
    Result from worker job 8 (worker y):

    Execution time: 1234ms (1.2s)
    Status: timeout
    Error: timed out after 1s

    (No result generated)

    Task 3: run `c`
    Error: the supervisor is shutting down

    Task 4: run `d`
    Result from worker job 9 (worker z):

    Execution time: 0.42ms

    Status: failed, says the result

    Where the slowest worker's time went:

    Metrics of worker job 8
    ");
}
