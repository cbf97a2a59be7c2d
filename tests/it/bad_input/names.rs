//! Models and tools with names that look like something else, and errors of a megabyte, on all three tiers.

use std::sync::Arc;

use async_trait::async_trait;
use metrics_core::Event;
use serde_json::{Value, json};
use worker_runner::{
    ChatModel, ChatReply, ChatRequest, Message, ModelError, ReactAgent, Role, Tool, ToolDefinition,
    ToolError, ToolRequest,
};

use crate::support::{Lab, reply};

/// Calls the one tool it is given once, then repeats what that said.
struct Caller(String);

#[async_trait]
impl ChatModel for Caller {
    fn name(&self) -> &str {
        &self.0
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatReply, ModelError> {
        let last = request.messages.last().expect("there is a task");
        if last.role == Role::Tool {
            let beginning: String = last.content.chars().take(60).collect();
            return Ok(reply(&beginning, metrics_core::Usage::default()));
        }
        let mut message = Message::text(Role::Assistant, "");
        message.tool_calls.push(ToolRequest {
            id: "call_1".to_owned(),
            name: request.tools[0].name.clone(),
            arguments: "{}".to_owned(),
        });
        Ok(ChatReply {
            message,
            ..reply("", metrics_core::Usage::default())
        })
    }
}

struct NamedTool {
    definition: ToolDefinition,
    answer: Result<String, ToolError>,
}

#[async_trait]
impl Tool for NamedTool {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, _: Value) -> Result<String, ToolError> {
        self.answer.clone()
    }
}

fn lab(model: &str, tool: &str, answer: Result<String, ToolError>) -> Lab {
    let tool = NamedTool {
        definition: ToolDefinition {
            name: tool.to_owned(),
            description: "Does what a test needs.".to_owned(),
            parameters: json!({"type": "object"}),
        },
        answer,
    };
    let model = Arc::new(Caller(model.to_owned()));
    Lab::with_agent(ReactAgent::new(model, vec![Arc::new(tool)]))
}

#[tokio::test]
async fn odd_names_are_the_same_on_all_tiers_and_forge_nothing() {
    for name in [
        "my model",
        "a=b",
        "m success=False worker_id=other duration_ms=99999",
        "\"quoted\" back\\slash",
        "two\nlines event=llm_call_complete",
        "\x1b[31mred \u{202e}evil \u{2028}",
        "../../etc/passwd",
        "/",
        "",
        "名前 😀",
    ] {
        let lab = lab(name, name, Ok("fine".to_owned()));
        let job = lab.run_job("call it").await;
        let metadata = lab.metadata(job).await;
        assert_eq!(metadata.status.to_string(), "success", "{name:?}");
        assert_eq!(metadata.config["model"], name);

        // Tier 2.
        let metrics = lab.metrics(&metadata.worker_id);
        let names: Vec<_> = metrics
            .events
            .iter()
            .map(|it| match it {
                Event::LlmCall(call) => call.model.as_str(),
                Event::ToolCall(call) => call.tool.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(names, [name; 3]);

        // Tier 3: a line a call, each with its own keys alone.
        let log = lab.log();
        let calls = log.calls(Some(metadata.worker_id.as_str()));
        assert_eq!(calls.len(), 3, "{}", log.text);
        assert_eq!(log.lines().len(), 3, "{}", log.text);
        for call in calls {
            let key = if call.message == "tool_call_complete" {
                "tool"
            } else {
                "model"
            };
            assert_eq!(call.get(key), Some(name), "{}", log.text);
            assert_ne!(call.get("duration_ms"), Some("99999"), "{}", log.text);
            assert_ne!(call.get("success"), Some("False"), "{}", log.text);
        }

        // Tier 1, and the digest with the names in it.
        let result = lab.read_result(job).await;
        assert!(result.ends_with("\n\nfine"), "{result}");
        let arguments = json!({"job_id": job});
        let digest = lab.tools().call("worker_metrics", &arguments).await;
        assert!(digest.contains("\nTool calls: 1, "), "{digest}");
        assert!(!digest.contains('\x1b'), "{digest:?}");
        let heads = [
            "Metrics of worker job 1 ",
            "Execution time: ",
            "LLM calls: ",
            "- ",
            "Tokens: ",
            "Tool calls: ",
            "Time outside of calls: ",
            "Slowest calls:",
        ];
        let is_known = |line: &str| heads.iter().any(|it| line.starts_with(it));
        let forged = digest.lines().find(|it| !it.is_empty() && !is_known(it));
        assert_eq!(forged, None, "{digest}");

        // The tool's output has a file inside the worker's directory.
        let outputs = lab.worker_dir(&metadata.worker_id).join("tool_calls");
        let outputs: Vec<_> = std::fs::read_dir(outputs).unwrap().collect();
        assert_eq!(outputs.len(), 1, "{outputs:?}");
        let output = outputs[0].as_ref().unwrap();
        assert_eq!(std::fs::read_to_string(output.path()).unwrap(), "fine");
    }
}

/// An error of a megabyte that begins and ends with a word of its own.
fn megabyte() -> String {
    format!("BEGIN {} END", "é\n".repeat((1 << 20) / 3))
}

#[tokio::test]
async fn a_failed_call_with_a_megabyte_of_error_is_cut_in_events_and_log() {
    let lab = lab("m", "t", Err(ToolError::Failed(megabyte())));
    let job = lab.run_job("call it").await;
    let metadata = lab.metadata(job).await;
    assert_eq!(metadata.status.to_string(), "success");
    let metrics = lab.metrics(&metadata.worker_id);
    let errors: Vec<_> = metrics
        .events
        .iter()
        .filter_map(|it| it.outcome().error())
        .collect();
    let [error] = errors[..] else {
        panic!("{errors:?}");
    };
    assert!(error.starts_with("BEGIN "));
    assert!(error.ends_with('…') && error.chars().count() == 2000);
    let log = lab.log();
    let calls = log.calls(None);
    let call = calls.iter().find(|it| it.message == "tool_call_complete");
    assert_eq!(call.unwrap().get("error"), Some(error));
    assert!(log.text.len() < 20_000, "{} bytes", log.text.len());
    // The whole text is in the tool's own file.
    let output = lab.worker_dir(&metadata.worker_id).join("tool_calls");
    let output = std::fs::read_dir(output).unwrap().next().unwrap().unwrap();
    let output = std::fs::read_to_string(output.path()).unwrap();
    assert!(output == format!("Error: {}", megabyte()));
}

#[tokio::test]
async fn a_worker_that_ends_with_a_megabyte_of_error_can_be_read() {
    let lab = lab("m", "t", Err(ToolError::Configuration(megabyte())));
    let job = lab.run_job("call it").await;
    let metadata = lab.metadata(job).await;
    assert_eq!(metadata.status.to_string(), "failed");
    let result = lab.read_result(job).await;
    assert!(result.contains("\nStatus: failed\nError: tool `t` cannot be used: "));
    let error = result.lines().find(|it| it.starts_with("Error: ")).unwrap();
    assert!(error.contains("BEGIN "), "{error:.100}");
    for (tool, arguments) in [
        ("list_workers", json!({})),
        ("worker_metrics", json!({"job_id": job})),
        ("grep_workers", json!({"pattern": "BEGIN"})),
    ] {
        let answer = lab.tools().call(tool, &arguments).await;
        assert!(answer.len() < 50_000, "{tool}: {} bytes", answer.len());
    }
    let error = metadata.error.unwrap();
    assert!(
        error.starts_with("tool `t` cannot be used: "),
        "{error:.100}"
    );
    let log = lab.log();
    assert!(log.text.len() < 20_000, "{} bytes", log.text.len());
    log.lines();
}
