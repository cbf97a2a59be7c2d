//! A tool loop on the client genai, as it is without triscope but for the three lines in `main`.

use std::sync::Arc;

use artifact_store::ArtifactStore;
use futures_util::StreamExt as _;
use genai::{
    Client, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    chat::{ChatMessage, ChatOptions, ChatRequest, ChatStreamEvent, Tool, ToolCall, ToolResponse},
    otel::agent::{AgentSpan, execute_tool_span, set_error},
    resolver::{AuthData, Endpoint},
};
use serde_json::json;
use tracing::Instrument as _;
use worker_runner::{RunOptions, WorkerRunner, agent_fn};

type Error = Box<dyn std::error::Error + Send + Sync>;

async fn use_tool(call: &ToolCall) -> Result<String, std::io::Error> {
    match &*call.fn_name {
        "multiply" => Ok("42".to_owned()),
        _ => std::fs::read_to_string("there are no notes"),
    }
}

async fn ask(task: String) -> Result<String, Error> {
    let span = AgentSpan::invoke_agent()
        .with_name("calculator")
        .with_model("gpt-5-mini")
        .start();
    work(task).instrument(span).await
}

async fn work(task: String) -> Result<String, Error> {
    let client = Client::new()?;
    let model = ServiceTarget {
        endpoint: Endpoint::from_owned(std::env::var("OPENAI_BASE_URL")? + "/"),
        auth: AuthData::from_single("key"),
        model: ModelIden::new(AdapterKind::OpenAI, "gpt-5-mini"),
    };
    let tools =
        ["multiply", "read_notes"].map(|it| Tool::new(it).with_schema(json!({"type": "object"})));
    let mut request = ChatRequest::new(vec![ChatMessage::user(task)]).with_tools(tools);

    let reply = client
        .exec_chat(model.clone(), request.clone(), None)
        .await?;
    let calls = reply.into_tool_calls();
    request = request.append_message(calls.clone());
    for call in &calls {
        let span = execute_tool_span(call);
        let output = use_tool(call).instrument(span.clone()).await;
        let output = output.unwrap_or_else(|error| {
            set_error(&span, error.to_string());
            format!("Error: {error}")
        });
        request = request.append_message(ToolResponse::new(call.call_id.clone(), output));
    }

    // The answer comes as a stream.
    let options = ChatOptions::default().with_capture_usage(true);
    let mut stream = client
        .exec_chat_stream(model, request, Some(&options))
        .await?
        .stream;
    let mut answer = String::new();
    while let Some(event) = stream.next().await {
        if let ChatStreamEvent::Chunk(chunk) = event? {
            answer.push_str(&chunk.content);
        }
    }
    Ok(answer)
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
