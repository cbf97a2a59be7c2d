//! What a tool answers to a program: the text that a model reads, and the same as data.

use serde_json::{Map, Value, json};

use super::{SupervisorTools, ToolAnswer, ToolFailure};

/// What a tool answers: a text for a model, and the same as data for a program.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolOutput {
    /// The text.
    pub text: String,
    /// An object of the form that [`SupervisorTools::output_schema`] gives.
    pub data: Value,
}

/// What a tool answers, as text and as data.
pub type FullAnswer = Result<ToolOutput, ToolFailure>;

/// The text of an answer.
pub(super) fn text_of(answer: FullAnswer) -> ToolAnswer {
    answer.map(|it| it.text)
}

/// An object without the fields that are not known.
pub(super) fn known(data: Value) -> Map<String, Value> {
    match data {
        Value::Object(fields) => fields.into_iter().filter(|it| !it.1.is_null()).collect(),
        _ => Map::new(),
    }
}

impl SupervisorTools {
    /// A JSON schema for the data that a tool answers with; `None` if there is no such tool.
    pub fn output_schema(tool: &str) -> Option<Value> {
        let text = json!({"type": "string"});
        let count = json!({"type": "integer", "minimum": 0});
        let job_id = json!({"type": "integer", "minimum": 1, "description": "Absent for a worker that belongs to no job."});
        let (properties, required) = match tool {
            "spawn_worker" => (
                result_properties(&json!({"type": "integer", "minimum": 1})),
                json!(["job_id", "status"]),
            ),
            "read_worker_result" => (
                result_properties(&job_id),
                json!(["worker_id", "status", "result"]),
            ),
            "list_workers" => (
                json!({
                    "workers": {"type": "array", "items": object(
                        &json!({
                            "job_id": job_id, "worker_id": text, "status": text, "task": text, "summary": text,
                            "duration_ms": count, "running_ms": count, "created_at": text,
                        }),
                        &json!(["status", "task", "created_at"]),
                    )},
                }),
                json!(["workers"]),
            ),
            "read_worker_file" => (
                json!({
                    "worker_id": text, "file_path": text, "text": text, "offset": count, "total_bytes": count,
                    "next_offset": {"type": "integer", "description": "Where to go on; absent at the end of the file."},
                }),
                json!(["worker_id", "file_path", "text", "offset", "total_bytes"]),
            ),
            "grep_workers" => (
                json!({
                    "matches": {"type": "array", "items": object(
                        &json!({"job_id": job_id, "worker_id": text, "file_path": text, "line": count, "text": text}),
                        &json!(["worker_id", "file_path", "line", "text"]),
                    )},
                    "workers_searched": count,
                    "stopped": {"type": "string", "description": "Why the search ended early."},
                }),
                json!(["matches", "workers_searched"]),
            ),
            "get_worker_metadata" => (
                json!({
                    "metadata": {"type": "object"},
                    "is_shortened": {"type": "boolean", "description": "Whether long texts were cut."},
                }),
                json!(["metadata", "is_shortened"]),
            ),
            "worker_metrics" => (json!({"digest": text}), json!(["digest"])),
            "cancel_worker" => (json!({"message": text}), json!(["message"])),
            _ => return None,
        };
        Some(object(&properties, &required))
    }
}

fn result_properties(job_id: &Value) -> Value {
    json!({
        "job_id": job_id,
        "worker_id": {"type": "string"},
        "status": {"type": "string", "enum": ["queued", "success", "failed", "timeout", "cancelled"]},
        "duration_ms": {"type": "integer", "minimum": 0},
        "duration_us": {"type": "integer", "minimum": 0},
        "error": {"type": "string"},
        "events": {"type": "integer", "minimum": 0},
        "events_lost": {"type": "integer", "minimum": 0},
        "usage": {"type": "object", "description": "What its calls came to: numbers, tokens, cost_usd."},
        "result": {"type": "string"},
        "next_offset": {"type": "integer", "description": "Where read_worker_file goes on in result.txt; absent if the result is whole."},
    })
}

/// Tools may answer with more later on.
fn object(properties: &Value, required: &Value) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}
