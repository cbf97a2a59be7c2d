//! An agent of rig's with two tools, as it is without triscope but for the three lines in `main`.

use std::sync::Arc;

use artifact_store::ArtifactStore;
use futures_util::StreamExt as _;
use rig_agent::{prelude::*, tool::ToolContext};
use rig_core::providers::openai::OpenAI;
use serde::Deserialize;
use serde_json::{Value, json};
use worker_runner::{RunOptions, WorkerRunner, agent_fn};

type Error = Box<dyn std::error::Error + Send + Sync>;

#[derive(Deserialize)]
struct Factors {
    x: f64,
    y: f64,
}

struct Multiply;

impl Tool for Multiply {
    const NAME: &'static str = "multiply";
    type Args = Factors;
    type Output = f64;
    type Error = std::convert::Infallible;

    fn description(&self) -> String {
        "Multiplies two numbers.".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}})
    }

    async fn call(&self, _: &mut ToolContext, args: Factors) -> Result<f64, Self::Error> {
        Ok(args.x * args.y)
    }
}

#[derive(Deserialize)]
struct Nothing {}

struct ReadNotes;

impl Tool for ReadNotes {
    const NAME: &'static str = "read_notes";
    type Args = Nothing;
    type Output = String;
    type Error = std::io::Error;

    fn description(&self) -> String {
        "Reads what was noted before.".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({"type": "object", "properties": {}})
    }

    async fn call(&self, _: &mut ToolContext, _: Nothing) -> Result<String, Self::Error> {
        std::fs::read_to_string("there are no notes")
    }
}

async fn ask(task: String) -> Result<String, Error> {
    let model = OpenAI::from_env()?.chat("gpt-5-mini");
    let agent = AgentBuilder::new(model)
        .preamble("You calculate.")
        .tool(Multiply)
        .tool(ReadNotes)
        .default_max_turns(5)
        .build();
    if std::env::args().nth(2).as_deref() != Some("stream") {
        return Ok(agent.prompt(task).await?.output().to_owned());
    }
    let mut stream = agent.prompt(task).stream();
    while let Some(item) = stream.next().await {
        if let MultiTurnStreamItem::FinalResponse(response) = item? {
            return Ok(response.output().to_owned());
        }
    }
    Err("the stream ended early".into())
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let dir = std::path::PathBuf::from(std::env::args().nth(1).ok_or("give a folder")?);
    // It was `println!("{}", ask("what is 7*6?".to_owned()).await?);`. The three lines:
    let _log = log_format::to_file(dir.join("agents.log")).install_with(genai_layer::layer())?;
    let runner = WorkerRunner::new(
        ArtifactStore::open(dir.join("agents"))?,
        Arc::new(agent_fn(ask)),
    );
    let report = runner
        .run_worker("what is 7*6?", RunOptions::default())
        .await?;
    println!("{}: {}", report.status, report.result);
    Ok(())
}
