//! A program that runs an agent of its own model as a worker.

use std::{fs, sync::Arc};

use artifact_store::{ArtifactStore, Status};
use async_trait::async_trait;
use worker_runner::{
    ChatModel, ChatReply, ChatRequest, Message, ModelError, ReactAgent, Role, RunOptions,
    WorkerRunner,
};

struct MyModel; // Asks your provider.

#[async_trait]
impl ChatModel for MyModel {
    fn name(&self) -> &str {
        "my-model"
    }

    async fn chat(&self, _: ChatRequest<'_>) -> Result<ChatReply, ModelError> {
        let answer = Message::text(Role::Assistant, "The result is 42.");
        Ok(ChatReply::new(answer))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("give a path for the workers")?;
    // As the README shows.
    let store = ArtifactStore::open(path)?;
    let agent = ReactAgent::new(Arc::new(MyModel), vec![]);
    let runner = WorkerRunner::new(store.clone(), Arc::new(agent));
    let report = runner
        .run_worker("calculate 7*6", RunOptions::default())
        .await?;
    assert_eq!(report.status, Status::Success);

    // What it left behind.
    let dir = store.data_dir().join(report.worker_id.as_str());
    let metrics = fs::read_to_string(dir.join("metrics.jsonl"))?;
    assert!(metrics.contains(r#""model":"my-model""#));
    assert_eq!(fs::read_to_string(dir.join("result.txt"))?, report.result);
    println!("{} {} event", report.result, metrics.lines().count());
    Ok(())
}
