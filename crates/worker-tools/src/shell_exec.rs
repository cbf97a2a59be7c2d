//! `shell_exec`: one shell command, with all that it starts.

#[cfg(test)]
mod tests;

use std::{io, path::PathBuf, process::Stdio, time::Duration};

use async_trait::async_trait;
use process_group::failure;
use serde_json::{Value, json};
use tokio::process::Command;
use worker_runner::{Tool, ToolContext, ToolDefinition, ToolError};

use crate::{
    arguments::{Arguments, bad},
    command::{self, Finished, Limits},
};

/// The limits of [`ShellExec`].
#[derive(Debug, Clone)]
pub struct ShellExecOptions {
    /// How long a command may run; 60 s by default.
    pub timeout: Duration,
    /// How long a command that ran out of time may tidy up between SIGTERM and SIGKILL; 2 s by default.
    pub term_grace: Duration,
    /// How long output is still read once the shell has exited, as something that it left in the
    /// background may hold the pipe open; 100 ms by default.
    pub drain_grace: Duration,
    /// The most bytes of output that are answered, half from its start and half from its end; 64 KiB by
    /// default.
    pub max_output_bytes: usize,
    /// The most bytes of a longer output that a worker's artifact takes; 256 MiB by default.
    pub max_artifact_bytes: u64,
    /// Where commands run; the process's own directory by default.
    pub directory: Option<PathBuf>,
    /// Variables of the environment that commands do not get, as what a model is asked with is not for what it asks for; by
    /// default `OPENAI_API_KEY` and `ANTHROPIC_API_KEY`.
    pub hidden_variables: Vec<String>,
}

impl Default for ShellExecOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(1),
            term_grace: Duration::from_secs(2),
            drain_grace: Duration::from_millis(100),
            max_output_bytes: 64 * 1024,
            max_artifact_bytes: 256 * 1024 * 1024,
            directory: None,
            hidden_variables: ["OPENAI_API_KEY", "ANTHROPIC_API_KEY"]
                .map(str::to_owned)
                .into(),
        }
    }
}

/// Runs `sh -c command` and answers with what it printed, standard error included, in order.
///
/// - Nothing on standard input. Output beyond the limit is left out in the middle, and a line there
///   says so. A worker keeps the whole of it as an artifact, written as it comes, which that line names. A command that prints nothing answers `(no output)`.
/// - An exit code other than 0, or a signal, is [`ToolError::Failed`]; running out of time is
///   [`ToolError::Timeout`]. All of them carry the output.
/// - The command runs in a process group of its own. When the call ends, in whatever way, the group is
///   killed: after a timeout with SIGTERM and then SIGKILL, when the future is dropped with SIGKILL at
///   once, and after a normal exit whatever the command left in the background. A command that shall
///   outlive the call must leave the group (`setsid`).
///
/// **It confines nothing**: a command may do whatever the process may, with the process's environment.
#[derive(Debug)]
pub struct ShellExec {
    definition: ToolDefinition,
    options: ShellExecOptions,
}

impl ShellExec {
    /// The tool with these limits.
    pub fn new(options: ShellExecOptions) -> Self {
        Self {
            definition: ToolDefinition {
                name: "shell_exec".to_owned(),
                description: format!(
                    "Runs a shell command (sh) and answers with what it printed. It must end \
                     within {:?}; what it leaves in the background is killed.",
                    options.timeout
                ),
                parameters: json!({
                    "type": "object",
                    "properties": {
                        "command": {
                            "type": "string",
                            "description": "Given to sh -c, such as: ls -l | head",
                        },
                    },
                    "required": ["command"],
                    "additionalProperties": false,
                }),
            },
            options,
        }
    }
}

impl Default for ShellExec {
    fn default() -> Self {
        Self::new(ShellExecOptions::default())
    }
}

#[async_trait]
impl Tool for ShellExec {
    fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    async fn call(&self, arguments: Value) -> Result<String, ToolError> {
        self.run(arguments, None).await
    }

    async fn call_for(
        &self,
        arguments: Value,
        worker: &ToolContext<'_>,
    ) -> Result<String, ToolError> {
        self.run(arguments, Some(worker)).await
    }
}

impl ShellExec {
    async fn run(
        &self,
        arguments: Value,
        worker: Option<&ToolContext<'_>>,
    ) -> Result<String, ToolError> {
        let command = Arguments::new(arguments, &["command"])?.command()?;
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(&command).stdin(Stdio::null());
        if let Some(directory) = &self.options.directory {
            shell.current_dir(directory);
        }
        for name in &self.options.hidden_variables {
            shell.env_remove(name);
        }
        // What the command records, such as workers of its own, belongs below this call.
        shell.envs(worker.map(ToolContext::environment).unwrap_or_default());
        let finished = command::run(shell, self.options.limits(), worker).await;
        let finished = finished.map_err(|err| cannot_run(&err, &command))?;
        self.answer(&finished)
    }

    fn answer(&self, finished: &Finished) -> Result<String, ToolError> {
        let output = command::with_output(finished);
        match finished.status.map(failure) {
            Some(None) => Ok(output),
            Some(Some(cause)) => Err(ToolError::Failed(format!("{cause}\n\n{output}"))),
            None => Err(ToolError::Timeout(format!(
                "the command ran longer than {:?} and was killed with all that it started\n\n{output}",
                self.options.timeout
            ))),
        }
    }
}

impl ShellExecOptions {
    fn limits(&self) -> Limits {
        Limits {
            timeout: self.timeout,
            term_grace: self.term_grace,
            drain_grace: self.drain_grace,
            max_output_bytes: self.max_output_bytes,
            max_artifact_bytes: self.max_artifact_bytes,
        }
    }
}

fn cannot_run(err: &io::Error, command: &str) -> ToolError {
    match err.kind() {
        io::ErrorKind::ArgumentListTooLong => bad(format!(
            "`command` is too long ({} bytes); write a script to a file instead",
            command.len()
        )),
        io::ErrorKind::NotFound => ToolError::Configuration(format!(
            "`sh`, or the directory it shall run in, is not there: {err}"
        )),
        _ => ToolError::Failed(format!("the command cannot be run: {err}")),
    }
}
