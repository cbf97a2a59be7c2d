//! What an agent is to the runner: something that works on a task and says what it does.

use std::{
    fs::File,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use artifact_store::WorkerWriter;
use async_trait::async_trait;
use redactor::Redactor;
use tokio::time::Instant;

use crate::{
    lifecycle::{Lifecycle, WorkerEvent},
    limits::LimitReached,
    model::{Message, ModelError},
    redact,
    remarks::Remarks,
    result::{extract_partial, extract_result},
    tool::ToolError,
};

/// Something that works on a task. Agents implement this; [`WorkerRunner`](crate::WorkerRunner) calls it.
///
/// # Contract
/// - It runs inside the worker's scope: whatever it records with `metrics-collector` belongs to the worker.
/// - It hands every message of its conversation to [`AgentContext::say`]; the result is taken from there.
/// - Dropping the future stops it (a timeout or a cancelled worker does so, after [`stop_grace`](Self::stop_grace)).
#[async_trait]
pub trait Agent: Send + Sync + 'static {
    /// The model it asks, for the worker's metadata; `None` if it asks none or several.
    fn model(&self) -> Option<&str> {
        None
    }

    /// How long it may wind up once its worker is to stop, which [`AgentContext::stopping`] says. It is dropped after that;
    /// with zero, at once.
    fn stop_grace(&self) -> Duration {
        Duration::ZERO
    }

    /// Works on `task` until it is done.
    async fn run(&self, task: &str, context: &AgentContext) -> Result<(), AgentError>;
}

/// Why an agent gave up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// The model did not answer.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A tool failed in a way that no other arguments can mend.
    #[error("tool `{tool}` cannot be used: {error}")]
    Tool {
        /// The tool.
        tool: String,
        /// What it said.
        error: ToolError,
    },
    /// It used up what it may; what it has until then is the result.
    #[error("stopped: {0}; raise it or make the task smaller")]
    Limit(#[from] LimitReached),
    /// Any other reason.
    #[error("{0}")]
    Other(String),
}

/// An agent's way to its worker's artifacts.
#[derive(Debug, Clone)]
pub struct AgentContext(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    worker: Arc<WorkerWriter>,
    lifecycle: Lifecycle,
    remarks: Remarks,
    deadline: Option<Instant>,
    redactor: Redactor,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    messages: Vec<Message>,
    tool_calls: usize,
    /// Why the conversation ends where it does, if not because all was said.
    note: Option<Note>,
    /// Artifacts that could not be written: no reason for a worker to fail, but for somebody to look.
    problems: Vec<String>,
}

/// A last line of the result.
#[derive(Debug)]
struct Note {
    line: String,
    /// There is no answer; the result is whatever there is.
    stopped: bool,
}

impl AgentContext {
    /// `deadline` is when the worker's time is up; `None` if that is further away than the clock reaches.
    pub(crate) fn new(
        worker: Arc<WorkerWriter>,
        lifecycle: Lifecycle,
        deadline: Option<Instant>,
        redactor: Redactor,
    ) -> Self {
        Self(Arc::new(Inner {
            worker,
            lifecycle,
            remarks: Remarks::default(),
            deadline,
            redactor,
            state: Mutex::default(),
        }))
    }

    /// Adds a message to the conversation and, without its secrets, to `thread.jsonl`.
    pub fn say(&self, message: Message) {
        let written = redact::message(&self.0.redactor, &message);
        let written = self.0.worker.append_message(&written);
        let mut state = self.lock();
        state.messages.push(message);
        state.note(written);
    }

    /// The conversation so far.
    pub fn messages(&self) -> Vec<Message> {
        self.lock().messages.clone()
    }

    /// Keeps a tool's whole output, without its secrets, as an artifact.
    pub fn save_tool_output(&self, tool: &str, output: &str) {
        self.save_output_of_call(self.next_tool_call(), tool, output);
    }

    /// Counts a tool call whose artifacts are to be written.
    pub(crate) fn next_tool_call(&self) -> usize {
        let mut state = self.lock();
        state.tool_calls += 1;
        state.tool_calls
    }

    pub(crate) fn save_output_of_call(&self, number: usize, tool: &str, output: &str) {
        let (tool, output) = (self.0.redactor.text(tool), self.0.redactor.text(output));
        let saved = self.0.worker.save_tool_output(number, &tool, &output);
        self.lock().note(saved.map(|_path| ()));
    }

    /// Makes the file for an output that is written as it comes; `None` if it cannot be made.
    pub(crate) fn create_output_of_call(
        &self,
        number: usize,
        tool: &str,
    ) -> Option<(File, String)> {
        let tool = self.0.redactor.text(tool);
        let created = self.0.worker.create_tool_output(number, &tool);
        created.map_err(|it| self.lock().note(Err(it))).ok()
    }

    /// Takes secrets out of what is written. For agents that write themselves, as to an
    /// [artifact](Self::create_artifact).
    pub fn redactor(&self) -> &Redactor {
        &self.0.redactor
    }

    pub(crate) fn worker(&self) -> &WorkerWriter {
        &self.0.worker
    }

    pub(crate) fn remarks(&self) -> &Remarks {
        &self.0.remarks
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.0.deadline
    }

    /// Ends the result with `line`: something to know about the answer.
    pub(crate) fn note(&self, line: String) {
        self.lock().note = Some(Note {
            line,
            stopped: false,
        });
    }

    /// Makes what was found so far the result, and ends it with `line`: why there is no answer.
    pub(crate) fn stopped(&self, line: String) {
        self.lock().note = Some(Note {
            line,
            stopped: true,
        });
    }

    /// What the conversation came to, without its secrets.
    pub(crate) fn result(&self) -> String {
        let state = self.lock();
        let result = match &state.note {
            None => extract_result(&state.messages),
            Some(Note { line, stopped }) => {
                let result = match stopped {
                    true => extract_partial(&state.messages),
                    false => extract_result(&state.messages),
                };
                format!("{result}\n\n{line}")
            }
        };
        drop(state);
        self.0.redactor.text(&result).into_owned()
    }

    pub(crate) fn send(&self, event: impl FnOnce() -> WorkerEvent) {
        self.0.lifecycle.send(event);
    }

    pub(crate) fn problems(&self) -> Vec<String> {
        self.lock().problems.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, written: Result<(), artifact_store::StoreError>) {
        const KEPT: usize = 10;
        if let Err(error) = written
            && self.problems.len() < KEPT
        {
            self.problems.push(error.to_string());
        }
    }
}
