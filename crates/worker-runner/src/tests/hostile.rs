//! Texts that break what is careless with them.

use artifact_store::Status;

use super::support::{Home, Turn, answers, echo, reply, say};
use crate::{Message, NO_RESULT, Role, RunOptions, ToolRequest};

const HOSTILE: &[&str] = &[
    "",
    " ",
    "\n",
    "\0",
    "../../etc/passwd",
    "/",
    ".",
    "con",
    "a b=c",
    "x\ny\r\nz",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{202e}evil",
    "\u{2028}",
    "🦀🦀🦀",
    "e\u{301}",
    "\"},{\"event\":\"forged",
    "'; DROP TABLE jobs; --",
];

#[tokio::test]
async fn any_task_makes_a_worker_that_keeps_it_whole() {
    let home = Home::new();
    let runner = home.runner(echo());
    let long = "1 MB of it ".repeat(95_000);
    for task in HOSTILE.iter().copied().chain([&*long]) {
        let report = runner
            .run_worker(task, RunOptions::default())
            .await
            .unwrap();
        assert_eq!(report.status, Status::Success, "{task:?}");
        let result = if task.trim().is_empty() {
            NO_RESULT
        } else {
            task
        };
        assert_eq!(report.result, result);
        let metadata = home.metadata(&report.worker_id);
        assert_eq!(metadata.task, task);
        assert!(metadata.summary.unwrap().chars().count() <= 150);
        assert_eq!(report.problems, [""; 0]);
        let id = report.worker_id.as_str();
        assert!(
            id.bytes()
                .all(|it| it.is_ascii_alphanumeric() || b"-_".contains(&it)),
            "{id}"
        );
    }
}

#[tokio::test]
async fn any_tool_name_is_one_event_and_one_artifact() {
    for known in [true, false] {
        for name in HOSTILE {
            let home = Home::new();
            let mut message = Message::text(Role::Assistant, "");
            message.tool_calls = vec![ToolRequest {
                id: (*name).to_owned(),
                name: (*name).to_owned(),
                arguments: String::new(),
            }];
            let tools = if known {
                vec![answers(name, Ok("1"))]
            } else {
                vec![]
            };
            let turns = [Turn::Reply(Box::new(reply(message))), say("done")];
            let report = home
                .react(turns, tools)
                .run_worker("x", RunOptions::default())
                .await
                .unwrap();
            assert_eq!(report.status, Status::Success, "{name:?}");
            let events = home.events(&report.worker_id);
            assert_eq!(events.len(), 3);
            assert_eq!(
                (&events[1]["tool"], &events[1]["tool_call_id"]),
                (&(*name).into(), &(*name).into())
            );
            assert_eq!(events[1]["success"], known);
            let files = home.store.worker(&report.worker_id).unwrap().files();
            let outputs = files.unwrap().into_iter();
            let outputs: Vec<_> = outputs.filter(|it| it.starts_with("tool_calls/")).collect();
            assert_eq!(outputs.len(), 1, "{outputs:?}");
            assert_eq!(report.problems, [""; 0]);
        }
    }
}

#[tokio::test]
async fn a_tool_name_of_a_megabyte_does_not_come_back_to_the_model() {
    let home = Home::new();
    let mut message = Message::text(Role::Assistant, "");
    message.tool_calls = vec![ToolRequest {
        id: "1".to_owned(),
        name: "x".repeat(1_000_000),
        arguments: String::new(),
    }];
    let turns = [Turn::Reply(Box::new(reply(message))), say("done")];
    let report = home
        .react(turns, vec![])
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    let thread = home.lines(&report.worker_id, "thread.jsonl");
    let output = thread[2]["content"].as_str().unwrap();
    assert!(output.len() < 300, "{}", output.len());
}

#[tokio::test]
async fn an_error_of_a_megabyte_leaves_the_worker_readable() {
    let home = Home::new();
    let long: &str = Box::leak("é".repeat(500_000).into_boxed_str());
    let report = home
        .react([Turn::Fail(long)], vec![])
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    let metadata = home.metadata(&report.worker_id);
    assert_eq!(metadata.error, report.error);
    assert!(report.error.unwrap().contains(long));
    let event = &home.events(&report.worker_id)[0];
    assert_eq!(event["error"].as_str().unwrap().chars().count(), 2000);
}
