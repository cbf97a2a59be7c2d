//! A supervisor over a store of its own, and an agent that does what its task says.

use std::{
    fs,
    future::pending,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use artifact_store::{ArtifactStore, IfMissing, Metadata, StoreOptions};
use async_trait::async_trait;
use metrics_collector::{llm_call, tool_call};
use metrics_core::{ManualClock, Phase, Usage, WorkerId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use worker_runner::{
    Agent, AgentContext, AgentError, ChatModel, ChatReply, ChatRequest, Message, ModelError, Role,
    WorkerRunner,
};

use crate::{JobId, RunnerSource, Supervisor, SupervisorTools, UnknownModel};

/// A supervisor, gone with its store at the end of the test.
pub(super) struct Office {
    pub(super) supervisor: Supervisor,
    pub(super) script: Arc<Script>,
    clock: ManualClock,
    dir: TempDir,
}

/// What a test and its agents tell each other.
pub(super) struct Script {
    clock: ManualClock,
    /// A permit for each agent that has begun to wait.
    waiting: Semaphore,
    /// A permit lets one agent go on.
    gate: Semaphore,
    /// The next runner that is asked for to run a job panics.
    pub(super) break_runner: AtomicBool,
}

impl Office {
    pub(super) fn new() -> Self {
        Self::with_room_for(8)
    }

    pub(super) fn with_room_for(concurrency: usize) -> Self {
        let clock = ManualClock::at("2025-12-15T04:08:08Z".parse().unwrap());
        let dir = tempfile::tempdir().unwrap();
        let script = Arc::new(Script {
            clock: clock.clone(),
            waiting: Semaphore::new(0),
            gate: Semaphore::new(0),
            break_runner: AtomicBool::new(false),
        });
        Self {
            supervisor: open(&dir, &clock, &script, concurrency),
            script,
            clock,
            dir,
        }
    }

    /// Another supervisor over the same directory, as another process would open it.
    pub(super) fn another(&self) -> Supervisor {
        open(&self.dir, &self.clock, &self.script, 8)
    }

    pub(super) fn tools(&self, owner: &str) -> SupervisorTools {
        self.supervisor.tools(Some(owner))
    }

    /// Calls a tool as the owner `local`.
    pub(super) async fn call(&self, tool: &str, arguments: Value) -> String {
        self.tools("local").call(tool, &arguments).await
    }

    /// Spawns a worker as the owner `local` and waits until its job is over and its summary made.
    pub(super) async fn done(&self, task: &str) -> JobId {
        self.done_as("local", task).await
    }

    pub(super) async fn done_as(&self, owner: &str, task: &str) -> JobId {
        let id = self.spawn_as(owner, task).await;
        self.supervisor.idle().await;
        id
    }

    pub(super) async fn spawn(&self, task: &str) -> JobId {
        self.spawn_as("local", task).await
    }

    pub(super) async fn spawn_as(&self, owner: &str, task: &str) -> JobId {
        let request = crate::SpawnRequest::new(task);
        self.tools(owner).spawn(&request).await.unwrap()
    }

    pub(super) async fn read(&self, id: JobId) -> String {
        self.call("read_worker_result", json!({"job_id": id})).await
    }

    /// Resolves when one more agent has begun to wait.
    pub(super) async fn somebody_waits(&self) {
        let waiting = self.script.waiting.acquire().await;
        waiting.unwrap().forget();
    }

    /// Resolves when the job's worker stands in the book, which may be after its agent has begun.
    pub(super) async fn is_noted(&self, id: JobId) {
        while self
            .supervisor
            .book()
            .get(id, None)
            .unwrap()
            .unwrap()
            .worker_id
            .is_none()
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets one waiting agent go on.
    pub(super) fn go_on(&self) {
        self.script.gate.add_permits(1);
    }

    pub(super) fn advance(&self, duration: Duration) {
        self.clock.advance(duration);
    }

    pub(super) fn metadata(&self, worker_id: &str) -> Metadata {
        let worker = self.supervisor.store().worker(&WorkerId::from(worker_id));
        worker.unwrap().metadata().unwrap()
    }

    pub(super) fn path(&self, worker_id: &str, file: &str) -> PathBuf {
        self.dir.path().join(worker_id).join(file)
    }

    /// Replaces a worker's `metrics.jsonl` with these lines.
    pub(super) fn write_metrics(&self, worker_id: &str, lines: impl Iterator<Item = String>) {
        let lines: String = lines.map(|it| it + "\n").collect();
        fs::write(self.path(worker_id, "metrics.jsonl"), lines).unwrap();
    }

    /// Changes a worker's `metadata.json` behind the store's back.
    pub(super) fn edit_metadata(&self, worker_id: &str, edit: impl FnOnce(&mut Value)) {
        let path = self.path(worker_id, "metadata.json");
        let mut metadata = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut metadata);
        fs::write(&path, metadata.to_string()).unwrap();
    }
}

fn open(
    dir: &TempDir,
    clock: &ManualClock,
    script: &Arc<Script>,
    concurrency: usize,
) -> Supervisor {
    let store = ArtifactStore::open_with(
        dir.path(),
        StoreOptions {
            if_missing: IfMissing::Refuse,
            clock: clock.clock(),
            ..StoreOptions::default()
        },
    )
    .unwrap();
    let agent = Arc::new(TaskAgent(Arc::clone(script)));
    let runners = Runners {
        runner: WorkerRunner::new(store.clone(), agent),
        script: Arc::clone(script),
    };
    Supervisor::open(store, runners, concurrency).unwrap()
}

struct Runners {
    runner: WorkerRunner,
    script: Arc<Script>,
}

impl RunnerSource for Runners {
    fn runner(&self, model: Option<&str>) -> Result<WorkerRunner, UnknownModel> {
        match model {
            None | Some("test-agent") => {}
            Some("never sums up") => {
                return Ok(self.runner.clone().summary_model(Arc::new(Silent)));
            }
            // Known when it is asked for, and broken when it is to run.
            Some("breaks") => assert!(
                !self.script.break_runner.swap(true, Ordering::SeqCst),
                "no runner today"
            ),
            Some("vanishes") if !self.script.break_runner.swap(true, Ordering::SeqCst) => {}
            Some(other) => {
                return Err(UnknownModel {
                    model: other.to_owned(),
                    known: vec!["test-agent".to_owned(), "other-agent".to_owned()],
                });
            }
        }
        Ok(self.runner.clone())
    }
}

/// A model that never answers.
struct Silent;

#[async_trait]
impl ChatModel for Silent {
    fn name(&self) -> &'static str {
        "silent"
    }

    async fn chat(&self, _: ChatRequest<'_>) -> Result<ChatReply, ModelError> {
        pending().await
    }
}

struct TaskAgent(Arc<Script>);

#[async_trait]
impl Agent for TaskAgent {
    fn model(&self) -> Option<&str> {
        Some("test-agent")
    }

    async fn run(&self, task: &str, context: &AgentContext) -> Result<(), AgentError> {
        let say = |text: &str| context.say(Message::text(Role::Assistant, text));
        let pass = |millis| self.0.clock.advance(Duration::from_millis(millis));
        match task {
            "calculate 7*6" => {
                pass(98);
                say("The result is 42.");
            }
            "fail" => {
                pass(1234);
                say("half of it");
                return Err(AgentError::Other("no route\nto host".to_owned()));
            }
            "fail at length" => return Err(AgentError::Other("é".repeat(1_000_000))),
            "wait" => {
                let wait = async {
                    self.0.waiting.add_permits(1);
                    let go_on = self.0.gate.acquire().await;
                    go_on.map(tokio::sync::SemaphorePermit::forget)
                };
                let waited = tool_call("ssh_exec", wait).await;
                waited.map_err(|it| AgentError::Other(it.to_string()))?;
                say("waited");
            }
            "hang" => {
                say("so far");
                self.0.waiting.add_permits(1);
                return pending().await;
            }
            "make calls" => {
                let reply = async {
                    pass(100);
                    Ok::<_, String>(())
                };
                let _ = llm_call("test-model", Phase::INITIAL, reply)
                    .usage(|()| Usage::new(1000, 200))
                    .await;
                let good = async {
                    pass(20);
                    Ok::<_, String>(())
                };
                let _ = tool_call("ssh_exec", good).await;
                let bad = async {
                    pass(5);
                    Err::<(), _>("connection\nrefused")
                };
                let _ = tool_call("http_request", bad).await;
                say("called");
            }
            "make big files" => {
                context.save_tool_output("lines", &"123456789\n".repeat(300_000));
                context.save_tool_output("one line", &format!("x{}", "é".repeat(1_000_000)));
                say("made");
            }
            "panic" => panic!("the agent broke"),
            other => say(other),
        }
        Ok(())
    }
}

impl Script {
    /// Takes back a permit that no agent took.
    pub(super) fn take_back(&self) {
        if let Ok(permit) = self.gate.try_acquire() {
            permit.forget();
        }
    }
}
