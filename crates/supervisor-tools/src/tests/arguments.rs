//! Bad arguments, and the definitions that tell which are good.

use serde_json::{Value, json};

use super::support::Office;
use crate::{SUPERVISOR_PROMPT, SupervisorTools};

#[tokio::test]
async fn a_worker_is_not_spawned_with_bad_arguments() {
    let office = Office::new();
    for (arguments, expected) in [
        (
            json!({}),
            "argument `task` is missing. Give it as a string.",
        ),
        (
            json!(null),
            "argument `task` is missing. Give it as a string.",
        ),
        (
            json!([]),
            "the arguments must be a JSON object, such as {\"job_id\": 1}.",
        ),
        (
            json!("calculate 7*6"),
            "the arguments must be a JSON object, such as {\"job_id\": 1}.",
        ),
        (
            json!({"task": 7}),
            "argument `task` must be a string, not 7.",
        ),
        (
            json!({"task": " \n"}),
            "the task is empty. Say in a sentence or more what the worker shall do.",
        ),
        (
            json!({"task": "x", "model": "gpt 5=mini\n"}),
            "model `gpt 5=mini\\n` is not known; known models: test-agent, other-agent.",
        ),
        (
            json!({"task": "x", "wait": "yes"}),
            "argument `wait` must be true or false, not \"yes\".",
        ),
        (
            json!({"task": "x", "timeout_seconds": 0}),
            "argument `timeout_seconds` must be a number above 0 and up to 604800, not 0.",
        ),
        (
            json!({"task": "x", "timeout_seconds": -1}),
            "argument `timeout_seconds` must be a number above 0 and up to 604800, not -1.",
        ),
        (
            json!({"task": "x", "timeout_seconds": 1e18}),
            "argument `timeout_seconds` must be a number above 0 and up to 604800, not 1e+18.",
        ),
        (
            json!({"task": "x", "timeout_seconds": "NaN"}),
            "argument `timeout_seconds` must be a number above 0 and up to 604800, not \"NaN\".",
        ),
        (
            json!({"task": "x", "timeout_seconds": "soon"}),
            "argument `timeout_seconds` must be a number above 0 and up to 604800, not \"soon\".",
        ),
        (
            json!({"task": "x", "timeout_seconds": 1e-9}),
            "the timeout is zero. Give the worker some time, such as 300 seconds.",
        ),
        (
            json!({"task": "x", "wait_seconds": {}}),
            "argument `wait_seconds` must be a number above 0 and up to 604800, not {}.",
        ),
        (
            json!({"task": "x", "retries": 3}),
            "there is no argument `retries`. Use task, model, timeout_seconds, wait, wait_seconds.",
        ),
    ] {
        assert_eq!(
            office.call("spawn_worker", arguments).await,
            format!("Error: {expected}")
        );
    }
    assert_eq!(
        office.call("list_workers", json!({})).await,
        "No workers. Start one with spawn_worker.",
        "nothing was written down"
    );
}

#[tokio::test]
async fn numbers_may_come_as_strings() {
    let office = Office::new();
    let arguments = json!({"task": "calculate 7*6", "timeout_seconds": "1.5", "wait": true});
    let text = office.call("spawn_worker", arguments).await;
    assert!(text.ends_with("The result is 42."), "{text}");
    let metadata = office.metadata("2025-12-15T04-08-08_calculate-7-6");
    assert_eq!(metadata.config["timeout_seconds"], json!(1.5));
}

#[tokio::test]
async fn a_task_of_a_megabyte_is_fine_and_a_longer_one_is_refused() {
    let office = Office::new();
    let megabyte = "\0".repeat(1 << 20);
    let id = office.done(&megabyte).await;
    assert!(
        office
            .read(id)
            .await
            .starts_with("Result from worker job 1 ")
    );
    let limit = "x".repeat(10 << 20);
    let id = office.done(&limit).await;
    assert!(
        office
            .read(id)
            .await
            .starts_with("Result from worker job 2 ")
    );
    let over = json!({"task": "x".repeat((10 << 20) + 1)});
    assert_eq!(
        office.call("spawn_worker", over).await,
        "Error: the task has 10485761 bytes, more than 10485760. Put the material into a file and name it in the task."
    );
}

#[tokio::test]
async fn the_other_tools_refuse_bad_arguments_too() {
    let office = Office::new();
    for (tool, arguments, expected) in [
        (
            "no_such_tool",
            json!({}),
            "there is no tool `no_such_tool`. Use one of spawn_worker, list_workers, read_worker_result, read_worker_file, grep_workers, get_worker_metadata, worker_metrics, cancel_worker.",
        ),
        (
            "list_workers",
            json!({"limit": 0}),
            "argument `limit` must be a whole number from 1 to 1000, not 0.",
        ),
        (
            "list_workers",
            json!({"limit": 1.5}),
            "argument `limit` must be a whole number from 1 to 1000, not 1.5.",
        ),
        (
            "list_workers",
            json!({"status": "done"}),
            "argument `status`: `done` is not a status; use queued, created, running, success, failed, timeout or cancelled.",
        ),
        (
            "list_workers",
            json!({"since_hours": -1}),
            "argument `since_hours` must be a number above 0 and up to 1000000000, not -1.",
        ),
        (
            "read_worker_file",
            json!({"job_id": 1}),
            "argument `file_path` is missing. Give it as a string.",
        ),
        (
            "read_worker_file",
            json!({"job_id": 1, "file_path": "x", "offset": -1}),
            "argument `offset` must be a whole number from 0 on, not -1.",
        ),
        (
            "grep_workers",
            json!({}),
            "argument `pattern` is missing. Give it as a string.",
        ),
        (
            "worker_metrics",
            json!({"job_id": 1, "max_tokens": 0}),
            "argument `max_tokens` must be a whole number from 50 on, not 0.",
        ),
        (
            "cancel_worker",
            json!({"job_id": 1, "force": true}),
            "there is no argument `force`. Use job_id.",
        ),
    ] {
        assert_eq!(
            office.call(tool, arguments).await,
            format!("Error: {expected}")
        );
    }
}

#[tokio::test]
async fn no_text_breaks_a_tool() {
    let office = Office::new();
    office.done("calculate 7*6").await;
    let long = "x".repeat(100_000);
    for text in [
        "",
        " ",
        "\0",
        "a\0b",
        "x\ny\r\nz",
        "'",
        "'; DROP TABLE jobs; --",
        "%_%",
        "\\",
        "(",
        "[",
        "*",
        "(?i)",
        "\\p{x}",
        "a{1000}{1000}{1000}",
        "\u{1b}[31m",
        "\u{202e}",
        "\u{2028}",
        "\u{feff}",
        "../../etc/passwd",
        "null",
        "NaN",
        "1e999",
        "<script>",
        "🦀",
        "e\u{301}",
        &long,
    ] {
        for tool in SupervisorTools::definitions() {
            let properties = tool.parameters["properties"].as_object().unwrap();
            for argument in properties.keys().filter(|it| *it != "task") {
                let mut arguments = json!({});
                for required in tool.parameters["required"].as_array().unwrap() {
                    arguments[required.as_str().unwrap()] = json!("1");
                }
                arguments[argument] = json!(text);
                let answer = office.call(&tool.name, arguments).await;
                let good = ["list_workers", "grep_workers"].contains(&&*tool.name);
                assert!(
                    good || answer.starts_with("Error: "),
                    "{}: {answer}",
                    tool.name
                );
                assert!(
                    answer.len() < 20_000,
                    "{}: {} bytes",
                    tool.name,
                    answer.len()
                );
            }
            let unknown = office.call(&tool.name, json!({text: 1})).await;
            assert!(unknown.starts_with("Error: "), "{unknown}");
        }
        let unknown = office.call(text, json!({})).await;
        assert!(unknown.starts_with("Error: there is no tool "), "{unknown}");
        assert_eq!(unknown.lines().count(), 1);
    }
}

#[test]
fn definitions_are_schemas_of_objects() {
    let definitions = SupervisorTools::definitions();
    let names: Vec<_> = definitions.iter().map(|it| &*it.name).collect();
    assert_eq!(
        names,
        [
            "spawn_worker",
            "list_workers",
            "read_worker_result",
            "read_worker_file",
            "grep_workers",
            "get_worker_metadata",
            "worker_metrics",
            "cancel_worker"
        ]
    );
    for definition in &definitions {
        assert!(!definition.description.is_empty());
        let schema = &definition.parameters;
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["additionalProperties"], json!(false));
        let properties = schema["properties"].as_object().unwrap();
        for required in schema["required"].as_array().unwrap() {
            let property = &properties[required.as_str().unwrap()];
            assert_eq!(
                property.get("default"),
                None,
                "{required} of {}",
                definition.name
            );
        }
        for (name, property) in properties {
            let types = match &property["type"] {
                Value::Array(types) => types.clone(),
                one => vec![one.clone()],
            };
            let known = ["string", "integer", "number", "boolean"];
            assert!(
                types.iter().all(|it| known.contains(&it.as_str().unwrap())),
                "{name} of {}",
                definition.name
            );
        }
        assert!(
            SUPERVISOR_PROMPT.contains(&format!("{}(", definition.name)),
            "{}",
            definition.name
        );
    }
}

/// What the schema gives as a default is what happens when nothing is given.
#[test]
fn defaults_are_as_promised() {
    let definitions = SupervisorTools::definitions();
    let default = |tool: &str, argument: &str| {
        let tool = definitions.iter().find(|it| it.name == tool).unwrap();
        tool.parameters["properties"][argument]["default"].clone()
    };
    assert_eq!(default("spawn_worker", "wait"), json!(false));
    assert_eq!(
        default("spawn_worker", "timeout_seconds"),
        json!(worker_runner::DEFAULT_TIMEOUT.as_secs())
    );
    assert_eq!(
        default("spawn_worker", "wait_seconds"),
        json!(crate::DEFAULT_WAIT.as_secs())
    );
    assert_eq!(
        default("list_workers", "limit"),
        json!(crate::DEFAULT_LIMIT)
    );
    assert_eq!(
        default("grep_workers", "since_hours").as_f64(),
        Some(crate::DEFAULT_GREP_HOURS)
    );
    assert_eq!(default("worker_metrics", "max_tokens"), json!(400));
    assert_eq!(default("read_worker_file", "offset"), json!(0));
}

#[test]
fn the_prompt_holds_the_hint_to_the_letter() {
    let hint = "For detailed performance metrics, read 'metrics.jsonl' from the worker directory.";
    assert!(SUPERVISOR_PROMPT.contains(hint));
}
