//! `shell_exec`: one shell command, with all that it starts.

mod ending;
mod group;
mod run;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use worker_runner::{Tool, ToolDefinition, ToolError};

use crate::arguments::{Arguments, bad};

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
    /// The most bytes of output that are kept, half from its start and half from its end; 64 KiB by
    /// default.
    pub max_output_bytes: usize,
    /// Where commands run; the process's own directory by default.
    pub directory: Option<PathBuf>,
}

impl Default for ShellExecOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_mins(1),
            term_grace: Duration::from_secs(2),
            drain_grace: Duration::from_millis(100),
            max_output_bytes: 64 * 1024,
            directory: None,
        }
    }
}

/// Runs `sh -c command` and answers with what it printed, standard error included, in order.
///
/// - Nothing on standard input. Output beyond the limit is left out in the middle, and a line there
///   says so. A command that prints nothing answers `(no output)`.
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
        let command = Arguments::new(arguments, &["command"])?.text("command")?;
        if command.trim().is_empty() {
            return Err(bad("`command` is empty; give a shell command"));
        }
        if command.contains('\0') {
            return Err(bad("`command` holds a NUL character, which no command may"));
        }
        let finished = run::run(&command, &self.options).await?;
        ending::answer(finished, &self.options)
    }
}
