//! What a worker leaves on disk.

use std::sync::{Arc, Mutex};

use artifact_store::{Status, WorkerFilter};
use async_trait::async_trait;
use serde_json::{Value, json};

use super::support::{Home, ScriptedModel, answers, call, echo, say, tool};
use crate::{
    ReactAgent, RunOptions, Tool, ToolContext, ToolDefinition, ToolError, WorkerReport,
    WorkerRunner,
};

#[tokio::test]
async fn a_worker_leaves_its_conversation_outputs_result_and_metadata() {
    let home = Home::new();
    let turns = [
        call([("ssh_exec", r#"{"host":"a"}"#), ("clock", "")]),
        say("Backed up."),
    ];
    let tools = vec![
        answers("ssh_exec", Ok("ok\n")),
        answers("clock", Ok("noon")),
    ];
    let mut options = RunOptions {
        owner: "ada".to_owned(),
        job_id: Some(7),
        attempt: Some(2),
        ..RunOptions::default()
    };
    options.config.insert("color".to_owned(), json!("blue"));
    let report = home
        .react(turns, tools)
        .run_worker("back up", options)
        .await
        .unwrap();
    let id = &report.worker_id;

    assert_eq!(home.file(id, "result.txt"), "Backed up.");
    assert_eq!(home.file(id, "tool_calls/001_ssh_exec.txt"), "ok\n");
    assert_eq!(home.file(id, "tool_calls/002_clock.txt"), "noon");
    assert_eq!(
        home.lines(id, "thread.jsonl"),
        [
            json!({"role": "user", "content": "back up"}),
            json!({"role": "assistant", "content": "", "tool_calls": [
                {"id": "call-1", "name": "ssh_exec", "arguments": r#"{"host":"a"}"#},
                {"id": "call-2", "name": "clock", "arguments": ""},
            ]}),
            json!({"role": "tool", "content": "ok\n", "tool_call_id": "call-1"}),
            json!({"role": "tool", "content": "noon", "tool_call_id": "call-2"}),
            json!({"role": "assistant", "content": "Backed up."}),
        ]
    );

    let metadata = home.metadata(id);
    assert_eq!((&*metadata.task, &*metadata.owner), ("back up", "ada"));
    assert_eq!((metadata.job_id, metadata.attempt), (Some(7), Some(2)));
    assert_eq!(
        metadata.config,
        json!({"color": "blue", "model": "scripted", "timeout_seconds": 300.0})
    );
    assert_eq!((metadata.events, metadata.events_lost), (Some(4), Some(0)));
    assert!(metadata.trace_id.is_some() && metadata.span_id.is_some());
    assert_eq!(
        (metadata.parent_worker_id, metadata.parent_span_id),
        (None, None)
    );
    let (created, started) = (metadata.created_at, metadata.started_at.unwrap());
    let finished = metadata.finished_at.unwrap();
    assert!(created <= started && started <= finished);
    assert_eq!(
        metadata.duration_us,
        u64::try_from(finished.unix_micros() - started.unix_micros()).ok()
    );
}

/// A tool that runs `runner` as a worker of its own and keeps its report.
fn delegate(runner: WorkerRunner) -> (super::support::FnTool, Arc<Mutex<Option<WorkerReport>>>) {
    let kept = Arc::new(Mutex::new(None));
    let for_tool = Arc::clone(&kept);
    let tool = tool("delegate", move |_| {
        let (runner, kept) = (runner.clone(), Arc::clone(&for_tool));
        async move {
            let report = runner.run_worker("child", RunOptions::default()).await;
            let report = report.unwrap();
            let result = report.result.clone();
            *kept.lock().unwrap() = Some(report);
            Ok(result)
        }
    });
    (tool, kept)
}

#[tokio::test]
async fn a_worker_run_by_a_tool_is_a_child_of_that_call() {
    let home = Home::new();
    let child = home.react([say("from the child")], vec![]);
    let (delegate, child) = delegate(child);
    let turns = [call([("delegate", "")]), say("done")];
    let report = home
        .react(turns, vec![delegate])
        .run_worker("parent", RunOptions::default())
        .await
        .unwrap();
    let child = child.lock().unwrap().take().unwrap();
    let (parent, child) = (
        home.metadata(&report.worker_id),
        home.metadata(&child.worker_id),
    );
    assert_eq!(child.status, Status::Success);
    assert_eq!(child.parent_worker_id.as_ref(), Some(&parent.worker_id));
    assert_eq!(child.trace_id, parent.trace_id);
    assert_ne!(child.span_id, parent.span_id);
    let call = &home.events(&parent.worker_id)[1];
    assert_eq!(
        call["span_id"],
        json!(child.parent_span_id.unwrap().to_string())
    );
    // Each has its own calls alone.
    assert_eq!(
        home.outline(&parent.worker_id),
        [
            "llm_call initial ok",
            "tool_call delegate ok",
            "llm_call synthesis ok"
        ]
    );
    assert_eq!(home.outline(&child.worker_id), ["llm_call initial ok"]);
}

#[tokio::test]
async fn a_worker_can_be_read_while_it_runs() {
    let home = Home::new();
    let store = home.store.clone();
    let look = tool("look", move |_| {
        let list = store.list(&WorkerFilter::default()).unwrap();
        let worker = store.worker(&list.workers[0].worker_id).unwrap();
        let files = worker.files().unwrap().join(" ");
        let status = list.workers[0].status;
        async move { Ok(format!("{status}: {files}")) }
    });
    let report = home
        .react([call([("look", "")]), say("done")], vec![look])
        .run_worker("x", RunOptions::default())
        .await
        .unwrap();
    assert_eq!(
        home.file(&report.worker_id, "tool_calls/001_look.txt"),
        "running: metadata.json metrics.jsonl thread.jsonl"
    );
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_an_error() {
    let home = Home::new();
    let runner = home.runner(echo());
    std::fs::remove_dir_all(home.store.data_dir()).unwrap();
    std::fs::write(home.store.data_dir(), "").unwrap();
    let error = runner
        .run_worker("x", RunOptions::default())
        .await
        .unwrap_err();
    let dir = home.store.data_dir().display().to_string();
    assert!(error.to_string().contains(&dir), "{error}");
    std::fs::remove_file(home.store.data_dir()).unwrap();
    std::fs::create_dir(home.store.data_dir()).unwrap();
}

/// A tool that streams, in pieces of 10 bytes, what is too long for its answer.
struct Streaming {
    definition: ToolDefinition,
    max_bytes: u64,
}

#[async_trait]
impl Tool for Streaming {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, _: Value) -> Result<String, ToolError> {
        Ok("alone".to_owned())
    }

    async fn call_for(&self, _: Value, worker: &ToolContext<'_>) -> Result<String, ToolError> {
        let Some(mut artifact) = worker.begin_output(self.max_bytes) else {
            return Ok("nowhere".to_owned());
        };
        for _ in 0..3 {
            artifact.write(b"0123456789");
        }
        artifact.finish();
        Ok(artifact.to_string())
    }
}

fn streaming(max_bytes: u64) -> Streaming {
    Streaming {
        definition: ToolDefinition {
            name: "stream".to_owned(),
            description: String::new(),
            parameters: json!({"type": "object"}),
        },
        max_bytes,
    }
}

#[tokio::test]
async fn a_tool_streams_into_an_artifact_of_its_call() {
    let home = Home::new();
    for (max_bytes, kept, said) in [
        (
            30,
            "012345678901234567890123456789",
            "the whole output is kept in the worker's `tool_calls/001_stream.whole.txt`",
        ),
        (
            15,
            "012345678901234",
            "the first 15 of 30 bytes are kept in the worker's \
             `tool_calls/001_stream.whole.txt`: no more may be kept",
        ),
        (
            0,
            "",
            "the first 0 of 30 bytes are kept in the worker's \
             `tool_calls/001_stream.whole.txt`: no more may be kept",
        ),
    ] {
        let model = Arc::new(ScriptedModel::new([call([("stream", "")]), say("done")]));
        let agent = ReactAgent::new(model, vec![Arc::new(streaming(max_bytes))]);
        let report = home.runner(agent);
        let report = report.run_worker("x", RunOptions::default()).await.unwrap();
        let file = |name: &str| home.file(&report.worker_id, name);
        assert_eq!(file("tool_calls/001_stream.whole.txt"), kept);
        assert_eq!(file("tool_calls/001_stream.txt"), said);
    }
}
