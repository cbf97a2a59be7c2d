//! The tools as a model sees them.

use serde_json::{Value, json};
use worker_runner::ToolDefinition;

pub(super) fn all() -> Vec<ToolDefinition> {
    let job_id = json!({
        "description": "The job's number, or a worker's id.",
        "type": ["integer", "string"],
    });
    vec![
        tool(
            "spawn_worker",
            "Hands a task to a new worker and returns its job id at once. With wait=true it waits for the result.",
            &["task"],
            &json!({
                "task": {"type": "string", "description": "What the worker shall do; it sees nothing else."},
                "model": {"type": "string", "description": "The model it uses; usually left out."},
                "wait": {"type": "boolean", "default": false, "description": "Wait for the result."},
                "timeout_seconds": {"type": "number", "default": 300, "exclusiveMinimum": 0, "maximum": 604_800, "description": "Ends the worker after so long."},
                "wait_seconds": {"type": "number", "default": 60, "exclusiveMinimum": 0, "maximum": 604_800, "description": "Ends only the wait after so long; the worker goes on."},
            }),
        ),
        tool(
            "list_workers",
            "Lists recent jobs and workers, the newest first, with a one-line summary each.",
            &[],
            &json!({
                "limit": {"type": "integer", "default": 20, "minimum": 1, "maximum": 1000},
                "status": {"type": "string", "enum": ["queued", "created", "running", "success", "failed", "timeout", "cancelled"]},
                "since_hours": {"type": "number", "exclusiveMinimum": 0, "description": "Only those of the last hours."},
            }),
        ),
        tool(
            "read_worker_result",
            "Gives a worker's result. Its head says how long the worker took and whether it failed.",
            &["job_id"],
            &json!({"job_id": job_id}),
        ),
        tool(
            "read_worker_file",
            "Reads a file of a worker, such as metrics.jsonl (every LLM and tool call), thread.jsonl or tool_calls/001_shell_exec.txt.",
            &["job_id", "file_path"],
            &json!({
                "job_id": job_id,
                "file_path": {"type": "string", "description": "The path relative to the worker's directory."},
                "offset": {"type": "integer", "default": 0, "minimum": 0, "description": "Begin at this byte."},
            }),
        ),
        tool(
            "grep_workers",
            "Searches all files of recent workers for a regular expression, in upper or lower case.",
            &["pattern"],
            &json!({
                "pattern": {"type": "string"},
                "since_hours": {"type": "number", "default": 24, "exclusiveMinimum": 0},
            }),
        ),
        tool(
            "get_worker_metadata",
            "Gives a worker's metadata: task, status, times, configuration.",
            &["job_id"],
            &json!({"job_id": job_id}),
        ),
        tool(
            "worker_metrics",
            "Says where a worker's time and tokens went: times by phase and tool, the slowest calls, failures. While it runs also what it is doing now.",
            &["job_id"],
            &json!({
                "job_id": job_id,
                "max_tokens": {"type": "integer", "default": 400, "minimum": 50, "description": "The answer takes no more than so many tokens."},
            }),
        ),
        tool(
            "cancel_worker",
            "Stops a worker that is not needed any more.",
            &["job_id"],
            &json!({"job_id": job_id}),
        ),
    ]
}

fn tool(name: &str, description: &str, required: &[&str], properties: &Value) -> ToolDefinition {
    ToolDefinition {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        }),
    }
}
