//! Scripted models, tools and agents, and a store in a directory of its own.

use std::{
    collections::VecDeque,
    fs,
    future::pending,
    sync::{Arc, Mutex},
};

use artifact_store::{ArtifactStore, Metadata, WorkerFilter};
use async_trait::async_trait;
use futures_util::future::BoxFuture;
use metrics_core::{Usage, WorkerId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::{
    Agent, AgentContext, AgentError, ChatModel, ChatReply, ChatRequest, ErrorClass, Message,
    ModelError, ReactAgent, Role, Tool, ToolDefinition, ToolError, ToolRequest, WorkerRunner,
};

/// A store, gone with its directory at the end of the test.
pub(super) struct Home {
    pub(super) store: ArtifactStore,
    _dir: TempDir,
}

impl Home {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            store: ArtifactStore::open(dir.path()).unwrap(),
            _dir: dir,
        }
    }

    pub(super) fn runner(&self, agent: impl Agent) -> WorkerRunner {
        WorkerRunner::new(self.store.clone(), Arc::new(agent))
    }

    /// A runner of a scripted model with tools.
    pub(super) fn react(
        &self,
        turns: impl IntoIterator<Item = Turn>,
        tools: Vec<FnTool>,
    ) -> WorkerRunner {
        self.runner(react(turns, tools))
    }

    pub(super) fn metadata(&self, worker_id: &WorkerId) -> Metadata {
        self.store.worker(worker_id).unwrap().metadata().unwrap()
    }

    /// The only worker there is.
    pub(super) fn only_worker(&self) -> Metadata {
        let mut list = self.store.list(&WorkerFilter::default()).unwrap();
        assert_eq!((list.workers.len(), list.problems.len()), (1, 0));
        list.workers.remove(0)
    }

    pub(super) fn file(&self, worker_id: &WorkerId, file: &str) -> String {
        fs::read_to_string(self.store.data_dir().join(worker_id.as_str()).join(file)).unwrap()
    }

    /// The lines of `metrics.jsonl`.
    pub(super) fn events(&self, worker_id: &WorkerId) -> Vec<Value> {
        self.lines(worker_id, "metrics.jsonl")
    }

    pub(super) fn lines(&self, worker_id: &WorkerId, file: &str) -> Vec<Value> {
        let text = self.file(worker_id, file);
        text.lines()
            .map(|it| serde_json::from_str(it).unwrap())
            .collect()
    }

    /// The events as `tool_call ssh_exec ok`, `llm_call initial: timeout`.
    pub(super) fn outline(&self, worker_id: &WorkerId) -> Vec<String> {
        let outline = |it: &Value| {
            let name = it.get("tool").unwrap_or(&it["phase"]).as_str().unwrap();
            let kind = it["event"].as_str().unwrap();
            match it["error"].as_str() {
                None => format!("{kind} {name} ok"),
                Some(error) => format!("{kind} {name}: {error}"),
            }
        };
        self.events(worker_id).iter().map(outline).collect()
    }
}

pub(super) fn react(
    turns: impl IntoIterator<Item = Turn>,
    tools: impl IntoIterator<Item = FnTool>,
) -> ReactAgent {
    let tools = tools.into_iter().map(|it| Arc::new(it) as Arc<dyn Tool>);
    ReactAgent::new(Arc::new(ScriptedModel::new(turns)), tools.collect())
}

/// What a scripted model does when it is asked.
pub(super) enum Turn {
    Say(String),
    Call(Vec<(&'static str, &'static str)>),
    Reply(Box<ChatReply>),
    /// Fails in a way that is not tried again.
    Fail(&'static str),
    Error(ModelError),
    Panic,
    Hang,
    /// Hangs, and lets the test's clock run ahead meanwhile.
    HangForLong,
}

pub(super) fn say(text: impl Into<String>) -> Turn {
    Turn::Say(text.into())
}

/// Asks for tools, each with its arguments; the ids are `call-1`, `call-2` and so on within the turn.
pub(super) fn call(calls: impl IntoIterator<Item = (&'static str, &'static str)>) -> Turn {
    Turn::Call(calls.into_iter().collect())
}

pub(super) struct ScriptedModel {
    turns: Mutex<VecDeque<Turn>>,
    /// What it was asked, turn by turn.
    pub(super) asked: Arc<Mutex<Vec<Vec<Message>>>>,
}

impl ScriptedModel {
    pub(super) fn new(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self {
            turns: Mutex::new(turns.into_iter().collect()),
            asked: Arc::default(),
        }
    }
}

#[async_trait]
impl ChatModel for ScriptedModel {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn chat(&self, request: ChatRequest<'_>) -> Result<ChatReply, ModelError> {
        self.asked.lock().unwrap().push(request.messages.to_vec());
        let turn = self.turns.lock().unwrap().pop_front();
        match turn.expect("the script is long enough") {
            Turn::Say(text) => Ok(reply(Message::text(Role::Assistant, text))),
            Turn::Call(calls) => {
                let mut message = Message::text(Role::Assistant, "");
                let calls = calls.into_iter().enumerate();
                message.tool_calls = calls
                    .map(|(n, (name, arguments))| ToolRequest {
                        id: format!("call-{}", n + 1),
                        name: name.to_owned(),
                        arguments: arguments.to_owned(),
                    })
                    .collect();
                Ok(reply(message))
            }
            Turn::Reply(reply) => Ok(*reply),
            Turn::Fail(reason) => Err(ModelError::new(ErrorClass::Refused, reason)),
            Turn::Error(error) => Err(error),
            Turn::Panic => panic!("the model broke"),
            Turn::Hang => pending().await,
            Turn::HangForLong => {
                let _paused = Paused::new();
                pending().await
            }
        }
    }
}

/// Tokio's clock runs ahead while nothing else happens, for as long as this lives.
pub(super) struct Paused;

impl Paused {
    pub(super) fn new() -> Self {
        tokio::time::pause();
        Self
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        tokio::time::resume();
    }
}

pub(super) fn reply(message: Message) -> ChatReply {
    ChatReply {
        usage: Usage::new(10, 2),
        ..ChatReply::new(message)
    }
}

type ToolBody = dyn Fn(Value) -> BoxFuture<'static, Result<String, ToolError>> + Send + Sync;

pub(super) struct FnTool {
    definition: ToolDefinition,
    body: Box<ToolBody>,
}

pub(super) fn tool<F>(name: &str, body: impl Fn(Value) -> F + Send + Sync + 'static) -> FnTool
where
    F: Future<Output = Result<String, ToolError>> + Send + 'static,
{
    FnTool {
        definition: ToolDefinition {
            name: name.to_owned(),
            description: String::new(),
            parameters: json!({"type": "object"}),
        },
        body: Box::new(move |it| Box::pin(body(it))),
    }
}

/// A tool that answers at once.
pub(super) fn answers(name: &str, answer: Result<&'static str, ToolError>) -> FnTool {
    let answer = answer.map(str::to_owned);
    tool(name, move |_| {
        let answer = answer.clone();
        async move { answer }
    })
}

/// A tool that says when it was called, and never ends.
pub(super) fn hangs(name: &str) -> (FnTool, Arc<Notify>) {
    let called = Arc::new(Notify::new());
    let for_tool = Arc::clone(&called);
    let tool = tool(name, move |_| {
        for_tool.notify_one();
        pending()
    });
    (tool, called)
}

#[async_trait]
impl Tool for FnTool {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, arguments: Value) -> Result<String, ToolError> {
        (self.body)(arguments).await
    }
}

type AgentBody =
    dyn Fn(String, AgentContext) -> BoxFuture<'static, Result<(), AgentError>> + Send + Sync;

pub(super) struct FnAgent(Box<AgentBody>);

pub(super) fn agent<F>(body: impl Fn(String, AgentContext) -> F + Send + Sync + 'static) -> FnAgent
where
    F: Future<Output = Result<(), AgentError>> + Send + 'static,
{
    FnAgent(Box::new(move |task, context| Box::pin(body(task, context))))
}

#[async_trait]
impl Agent for FnAgent {
    async fn run(&self, task: &str, context: &AgentContext) -> Result<(), AgentError> {
        (self.0)(task.to_owned(), context.clone()).await
    }
}

/// An agent that answers its task at once.
pub(super) fn echo() -> FnAgent {
    agent(|task, context| async move {
        context.say(Message::text(Role::Assistant, task));
        Ok(())
    })
}
