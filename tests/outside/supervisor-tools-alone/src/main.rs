//! A program whose model calls the supervisor's tools; the workers are an agent of its own.

use std::sync::Arc;

use artifact_store::ArtifactStore;
use serde_json::json;
use supervisor_tools::{DEFAULT_CONCURRENCY, SUPERVISOR_PROMPT, Supervisor, SupervisorTools};
use worker_runner::{Agent, AgentContext, AgentError, Message, Role, WorkerRunner};

struct MyAgent;

#[async_trait::async_trait]
impl Agent for MyAgent {
    async fn run(&self, task: &str, context: &AgentContext) -> Result<(), AgentError> {
        context.say(Message::text(Role::Assistant, format!("Did: {task}.")));
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("give a path for the workers")?;
    // As the README shows.
    let store = ArtifactStore::open(path)?;
    let runner = WorkerRunner::new(store.clone(), Arc::new(MyAgent));
    let supervisor = Supervisor::open(store, runner, DEFAULT_CONCURRENCY)?;
    let tools = supervisor.tools(Some("local"));
    assert_eq!(SupervisorTools::definitions().len(), 8);
    assert!(SUPERVISOR_PROMPT.contains("metrics.jsonl"));

    let task = json!({"task": "back up the database", "wait": true, "wait_seconds": 60});
    let text = tools.call("spawn_worker", &task).await;
    assert!(
        text.starts_with("Result from worker job 1 (worker "),
        "{text}"
    );
    assert!(text.contains("\n\nExecution time: "), "{text}");
    let list = tools.call("list_workers", &json!({})).await;
    assert!(list.contains("back up the database"), "{list}");
    supervisor.shut_down().await;
    println!("{}", text.lines().last().unwrap_or_default());
    Ok(())
}
