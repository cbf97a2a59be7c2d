//! What a tool call leaves with its worker beside its answer: an output that is too long for one.

use std::{
    fmt,
    fs::File,
    io::{self, Write as _},
    sync::OnceLock,
};

use metrics_collector::MetricsCollector;
use metrics_core::TraceContext;
use redactor::Stream;

use crate::agent::AgentContext;

/// The variable that names to a program the worker it runs for.
pub const WORKER_ID_VARIABLE: &str = "TRISCOPE_WORKER_ID";
/// The variable that says to a program what it is started for: a place in a trace, in W3C's form.
pub const TRACEPARENT_VARIABLE: &str = "TRACEPARENT";

/// One tool call's way to its worker's artifacts.
#[derive(Debug)]
pub struct ToolContext<'a> {
    agent: &'a AgentContext,
    tool: &'a str,
    /// Given when the call's first artifact is made.
    number: OnceLock<usize>,
}

impl<'a> ToolContext<'a> {
    pub(crate) fn new(agent: &'a AgentContext, tool: &'a str) -> Self {
        Self {
            agent,
            tool,
            number: OnceLock::new(),
        }
    }

    /// Begins an artifact, `tool_calls/001_shell_exec.whole.txt`, that takes at most `max_bytes`. A call has one.
    ///
    /// `None` if it cannot be made: the worker's result then has a warning that says why, and the call goes on.
    pub fn begin_output(&self, max_bytes: u64) -> Option<OutputArtifact> {
        let (file, path) = self.agent.create_output_of_call(self.number(), self.tool)?;
        Some(OutputArtifact {
            file,
            path,
            max_bytes,
            redacted: self.agent.redactor().stream(),
            ready: Vec::new(),
            offered: 0,
            kept: 0,
            refused: None,
        })
    }

    /// The variables that make what a program of this call records a part of the worker's trace, below the call.
    ///
    /// The call's event then has a `span_id`. Empty outside of the worker's scope.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let child = MetricsCollector::child_trace();
        let Some(span_id) = child.parent_span_id else {
            return Vec::new();
        };
        let parent = TraceContext { span_id, ..child };
        let worker_id = self.agent.worker().id().to_string();
        vec![
            (TRACEPARENT_VARIABLE, parent.traceparent()),
            (WORKER_ID_VARIABLE, worker_id),
        ]
    }

    /// Keeps what the model is answered.
    pub(crate) fn save_output(&self, output: &str) {
        self.agent
            .save_output_of_call(self.number(), self.tool, output);
    }

    pub(crate) fn agent(&self) -> &'a AgentContext {
        self.agent
    }

    fn number(&self) -> usize {
        *self.number.get_or_init(|| self.agent.next_tool_call())
    }
}

/// A tool's output on its way to the disk, written as it comes, without its secrets. All that a tool streams passes through
/// here.
///
/// As text it says where the output is, and how much of it if that is not all.
#[derive(Debug)]
pub struct OutputArtifact {
    file: File,
    path: String,
    max_bytes: u64,
    redacted: Stream,
    /// What comes out of that next, for its memory.
    ready: Vec<u8>,
    offered: u64,
    kept: u64,
    /// Why the file takes no more. A gap in it would be worse than an early end.
    refused: Option<io::Error>,
}

impl OutputArtifact {
    /// Takes the next piece of the output.
    pub fn write(&mut self, bytes: &[u8]) {
        self.redacted.push(bytes, &mut self.ready);
        self.write_ready();
    }

    /// Writes what is held back, as a secret could have gone on in what comes next: nothing does.
    pub fn finish(&mut self) {
        self.redacted.finish(&mut self.ready);
        self.write_ready();
    }

    /// What the disk or the limit refuses is counted.
    fn write_ready(&mut self) {
        self.offered = self.offered.saturating_add(self.ready.len() as u64);
        let room = usize::try_from(self.max_bytes - self.kept).unwrap_or(usize::MAX);
        let mut rest = &self.ready[..room.min(self.ready.len())];
        while !rest.is_empty() && self.refused.is_none() {
            match self.file.write(rest) {
                Ok(0) => self.refused = Some(io::ErrorKind::WriteZero.into()),
                Ok(n_bytes) => {
                    self.kept += n_bytes as u64;
                    rest = &rest[n_bytes..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.refused = Some(error),
            }
        }
        self.ready.clear();
    }

    /// The artifact's path, relative to the worker's directory.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for OutputArtifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kept, .. } = self;
        if *kept == self.offered {
            return write!(f, "the whole output is kept in the worker's `{path}`");
        }
        write!(
            f,
            "the first {kept} of {} bytes are kept in the worker's `{path}`: ",
            self.offered
        )?;
        match &self.refused {
            Some(error) => error.fmt(f),
            None => write!(f, "no more may be kept"),
        }
    }
}
