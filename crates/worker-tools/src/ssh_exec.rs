//! `ssh_exec`: one command on another machine, through the system's OpenSSH client.

mod client;
mod failure;
mod target;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use worker_runner::{Tool, ToolContext, ToolDefinition, ToolError};

use crate::{
    arguments::{Arguments, bad},
    command::{self, Finished, Limits},
    text::shown,
};

pub use self::target::{InvalidTarget, SshTarget};

/// The machines that [`SshExec`] may reach, and its limits.
#[derive(Debug, Clone)]
pub struct SshExecOptions {
    /// The machines; none by default.
    pub targets: Vec<SshTarget>,
    /// The private key to use, and no other; OpenSSH's usual ones and its agent's by default.
    pub identity: Option<PathBuf>,
    /// The file of known host keys to use, and no other; OpenSSH's usual ones by default.
    pub known_hosts: Option<PathBuf>,
    /// A configuration file of OpenSSH's; none is read by default.
    pub config: Option<PathBuf>,
    /// The client; `ssh` by default.
    pub program: PathBuf,
    /// How long connecting may take; 10 s by default.
    pub connect_timeout: Duration,
    /// How long a command may run, connecting included; 60 s by default.
    pub timeout: Duration,
    /// How long a command that ran out of time may tidy up; 4 s by default, as the other side gives it two.
    pub term_grace: Duration,
    /// The most bytes of output that are answered, half from its start and half from its end; 64 KiB by default.
    pub max_output_bytes: usize,
    /// The most bytes of a longer output that a worker's artifact takes; 256 MiB by default.
    pub max_artifact_bytes: u64,
}

impl Default for SshExecOptions {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            identity: None,
            known_hosts: None,
            config: None,
            program: PathBuf::from("ssh"),
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_mins(1),
            term_grace: Duration::from_secs(4),
            max_output_bytes: 64 * 1024,
            max_artifact_bytes: 256 * 1024 * 1024,
        }
    }
}

/// Runs a command on one of the machines it was given, and answers with what it printed, standard error included.
///
/// - A machine is named by its [`SshTarget`]'s name; a model cannot name another user, host, port or key.
/// - The host's key must be known already; nothing is asked, and nothing learnt. No agent, no port and no display is
///   forwarded, and no configuration file read.
/// - An exit code other than 0 is [`ToolError::Failed`], as is a connection that fails, with what to do about it; running
///   out of time is [`ToolError::Timeout`]. All of them carry the output.
/// - The command runs under a POSIX shell on the other side, without any input. When the call ends in whatever way, even
///   as this process is killed, the other side notices the end of the connection and ends the command's session, with
///   SIGTERM and 2 s later SIGKILL. What left it (`setsid`), or what is cut off from us, lives on. What is left in the
///   background must let go of the output, or the call waits for it.
#[derive(Debug)]
pub struct SshExec {
    definition: ToolDefinition,
    options: SshExecOptions,
}

impl SshExec {
    /// The tool for the machines of `options`.
    pub fn new(options: SshExecOptions) -> Self {
        let names: Vec<_> = options.targets.iter().map(SshTarget::name).collect();
        Self {
            definition: ToolDefinition {
                name: "ssh_exec".to_owned(),
                description: format!(
                    "Runs a shell command (sh) on another machine and answers with what it \
                     printed. It must end within {:?}.",
                    options.timeout
                ),
                parameters: json!({
                    "type": "object",
                    "properties": {
                        "host": {
                            "type": "string",
                            "enum": names,
                            "description": "The machine's name.",
                        },
                        "command": {
                            "type": "string",
                            "description": "Given to sh -c there, such as: df -h | head",
                        },
                    },
                    "required": ["host", "command"],
                    "additionalProperties": false,
                }),
            },
            options,
        }
    }

    async fn run(
        &self,
        arguments: Value,
        worker: Option<&ToolContext<'_>>,
    ) -> Result<String, ToolError> {
        let mut arguments = Arguments::new(arguments, &["host", "command"])?;
        let target = self.target(&arguments.text("host")?)?;
        let command = arguments.command()?;
        let ssh = client::command(target, &command, &self.options)?;
        let finished = command::run(ssh, self.options.limits(), worker).await;
        let finished =
            finished.map_err(|err| failure::cannot_run(&err, &command, &self.options))?;
        self.answer(&finished, target)
    }

    fn target(&self, name: &str) -> Result<&SshTarget, ToolError> {
        let targets = &self.options.targets;
        let found = targets.iter().find(|it| it.name() == name);
        found.ok_or_else(|| {
            let known: Vec<_> = targets.iter().map(SshTarget::name).collect();
            bad(format!(
                "`host` must be one of `{}`, not `{}`; who runs this may add it with \
                 `--ssh-target NAME=USER@HOST`",
                known.join("`, `"),
                shown(name)
            ))
        })
    }

    fn answer(&self, finished: &Finished, target: &SshTarget) -> Result<String, ToolError> {
        let output = command::with_output(finished);
        let Some(status) = finished.status else {
            return Err(ToolError::Timeout(format!(
                "the command on `{}` ran longer than {:?} and was ended\n\n{output}",
                target.name(),
                self.options.timeout
            )));
        };
        let Some(cause) = process_group::failure(status) else {
            return Ok(output);
        };
        // The client's own failures; a command may end with this code as well.
        if status.code() == Some(255)
            && let Some(err) = failure::of_client(&output, target)
        {
            return Err(err);
        }
        Err(ToolError::Failed(format!(
            "{cause} on `{}`\n\n{output}",
            target.name()
        )))
    }
}

impl SshExecOptions {
    fn limits(&self) -> Limits {
        Limits {
            timeout: self.timeout,
            term_grace: self.term_grace,
            drain_grace: Duration::from_millis(100),
            max_output_bytes: self.max_output_bytes,
            max_artifact_bytes: self.max_artifact_bytes,
        }
    }
}

#[async_trait]
impl Tool for SshExec {
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
