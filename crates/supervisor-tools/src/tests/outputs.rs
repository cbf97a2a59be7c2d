//! What the tools answer to a program: the text, and data of the form that the tool's schema gives.

use serde_json::{Value, json};

use super::support::Office;
use crate::{SupervisorTools, ToolOutput};

/// What of `data` is not as `schema` says; of JSON schemas only what ours use.
fn fault(data: &Value, schema: &Value, at: &str) -> Option<String> {
    let is_right = match schema["type"].as_str() {
        Some("object") => data.is_object(),
        Some("array") => data.is_array(),
        Some("string") => data.is_string(),
        Some("integer") => data.is_u64(),
        Some("boolean") => data.is_boolean(),
        other => panic!("{at}: a schema with the type {other:?}"),
    };
    if !is_right {
        return Some(format!("{at} is {data}"));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(data)
    {
        return Some(format!("{at} is {data}"));
    }
    let required = schema["required"].as_array().into_iter().flatten();
    for key in required.filter_map(Value::as_str) {
        if data.get(key).is_none() {
            return Some(format!("{at} has no {key}"));
        }
    }
    if let Some(properties) = schema["properties"].as_object() {
        for (key, value) in data.as_object()? {
            let Some(schema) = properties.get(key) else {
                return Some(format!("{at}.{key} is not in the schema"));
            };
            if let Some(fault) = fault(value, schema, &format!("{at}.{key}")) {
                return Some(fault);
            }
        }
    }
    let items = data.as_array().into_iter().flatten();
    items
        .into_iter()
        .find_map(|it| fault(it, &schema["items"], at))
}

/// Calls a tool and checks the form of its data, and that its text is the one that models get.
async fn data(office: &Office, tool: &str, arguments: Value) -> Value {
    let tools = office.tools("local");
    let ToolOutput { text, data } = tools.call_in_full(tool, &arguments).await.unwrap();
    if tool != "spawn_worker" {
        assert_eq!(text, tools.call(tool, &arguments).await);
    }
    let schema = SupervisorTools::output_schema(tool).unwrap();
    assert_eq!(fault(&data, &schema, tool), None);
    data
}

#[tokio::test]
async fn every_tools_data_is_of_the_form_that_its_schema_gives() {
    let office = Office::with_room_for(1);
    let spawn = json!({"task": "make calls", "wait": true});
    let result = data(&office, "spawn_worker", spawn).await;
    assert_eq!(result["result"], "called");
    assert_eq!(result["status"], "success");
    assert_eq!(
        data(&office, "read_worker_result", json!({"job_id": 1})).await,
        result
    );

    let spawned = data(&office, "spawn_worker", json!({"task": "wait"})).await;
    assert_eq!(spawned, json!({"job_id": 2, "status": "queued"}));
    office.somebody_waits().await;
    data(&office, "spawn_worker", json!({"task": "calculate 7*6"})).await;
    let list = data(&office, "list_workers", json!({})).await;
    let rows = list["workers"].as_array().unwrap();
    let statuses: Vec<_> = rows
        .iter()
        .map(|it| it["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["queued", "running", "success"]);
    assert!(rows[1]["running_ms"].is_u64() && rows[2]["duration_ms"].is_u64());

    let file = json!({"job_id": 1, "file_path": "metrics.jsonl"});
    let file = data(&office, "read_worker_file", file).await;
    assert_eq!(file["total_bytes"], file["text"].as_str().unwrap().len());
    assert_eq!(file.get("next_offset"), None);
    let found = data(&office, "grep_workers", json!({"pattern": "ssh_exec"})).await;
    assert_eq!(found["matches"][0]["file_path"], "metrics.jsonl");
    let metadata = data(&office, "get_worker_metadata", json!({"job_id": 1})).await;
    assert_eq!(metadata["metadata"]["job_id"], 1);
    let digest = data(&office, "worker_metrics", json!({"job_id": 1})).await;
    assert!(digest["digest"].as_str().unwrap().contains("ssh_exec"));

    let tools = office.tools("local");
    let cancelled = tools
        .call_in_full("cancel_worker", &json!({"job_id": 3}))
        .await;
    let cancelled = cancelled.unwrap();
    assert_eq!(cancelled.data, json!({"message": cancelled.text}));
    office.go_on();
}

#[tokio::test]
async fn the_list_does_not_repeat_whole_tasks() {
    let office = Office::new();
    let task = format!("calculate 7*6 {}", "x".repeat(100_000));
    office.done(&task).await;
    let list = data(&office, "list_workers", json!({})).await;
    assert!(list.to_string().len() < 1000, "{list}");
}

#[tokio::test]
async fn files_and_results_are_cut_where_they_are_told_to() {
    let office = Office::new();
    let id = office.done("make big files").await;
    let tools = office.tools("local").read_bytes(1000);
    let file = json!({"job_id": id, "file_path": "tool_calls/001_lines.txt", "offset": 10});
    let part = tools.call_in_full("read_worker_file", &file).await.unwrap();
    assert_eq!(part.data["text"].as_str().unwrap().len(), 1000);
    assert_eq!(part.data["next_offset"], 1010);
    assert!(part.text.ends_with("go on with offset=1010]"));
    let job = crate::JobRef::Job(id);
    let part = tools.file_part(&job, "tool_calls/001_lines.txt", 2_999_990);
    assert!(!part.await.unwrap().is_cut());
}

#[test]
fn only_tools_have_schemas_and_all_do() {
    for tool in SupervisorTools::definitions() {
        assert!(
            SupervisorTools::output_schema(&tool.name).is_some(),
            "{}",
            tool.name
        );
    }
    assert_eq!(SupervisorTools::output_schema("rm"), None);
}
