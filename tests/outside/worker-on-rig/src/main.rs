//! A worker of triscope's own loop, whose model and tools are rig's.

use std::sync::Arc;

use artifact_store::ArtifactStore;
use rig_adapter::{RigModel, RigTool};
use rig_core::{
    providers::openai::OpenAI,
    tool::{Tool, ToolContext},
};
use serde::Deserialize;
use serde_json::{Value, json};
use worker_runner::{ReactAgent, RunOptions, WorkerRunner};

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

#[tokio::main]
async fn main() -> Result<(), Error> {
    let dir = std::path::PathBuf::from(std::env::args().nth(1).ok_or("give a folder")?);
    let _log = log_format::to_file(dir.join("agents.log")).install_with(genai_layer::layer())?;
    let model = RigModel::new("gpt-5-mini", OpenAI::from_env()?.chat("gpt-5-mini"));
    let agent = ReactAgent::new(
        Arc::new(model),
        vec![
            Arc::new(RigTool::new(Multiply)),
            Arc::new(RigTool::new(ReadNotes)),
        ],
    );
    let runner = WorkerRunner::new(ArtifactStore::open(dir.join("agents"))?, Arc::new(agent));
    let report = runner
        .run_worker("what is 7*6?", RunOptions::default())
        .await?;
    println!("{}: {}", report.status, report.result);
    Ok(())
}
