//! A program's life as a worker: started, read, followed, ended.

use std::{
    ffi::OsString,
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use metrics_collector::MetricsCollector;
use metrics_core::Clock;
use process_group::{ProcessGroup, Signal, failure, signal_name};
use serde_json::{Map, Value, json};
use tokio::{
    process::Command,
    select,
    time::{sleep, timeout},
};
use worker_runner::{Agent, AgentContext, AgentError, CancellationToken, Message, Role};

use crate::{
    METRICS_FILE_VARIABLE, OutputFormat, TRACEPARENT_VARIABLE, WORKER_ID_VARIABLE,
    command::{CommandError, ProgramCommand},
    format::{Reading, Said},
    redacted_file,
    streams::{Files, METRICS, Read, STDERR, Streams},
};

/// The key in `metadata.json` of how the program ended and what became of its output.
pub const PROGRAM: &str = "program";

/// How long a program may tidy up between SIGTERM and SIGKILL unless told otherwise.
pub const DEFAULT_TERM_GRACE: Duration = Duration::from_secs(5);
/// How long a worker that was stopped may still read its program's events.
const LAST_READ: Duration = Duration::from_secs(2);

/// How a program runs.
#[derive(Debug, Clone)]
pub struct ProgramOptions {
    /// What its standard output is.
    pub format: OutputFormat,
    /// Whether it reads this process's standard input; otherwise its own is empty.
    pub pass_stdin: bool,
    /// How long it may tidy up between SIGTERM and SIGKILL.
    pub term_grace: Duration,
    /// How long output is still read once it has exited, as something that it left in the background may hold the pipe
    /// open; and once more when that is killed, as something may have left the group. 1 s by default.
    pub drain_grace: Duration,
    /// Once cancelled, there is no grace any more: a worker that stops kills its program at once.
    pub kill: CancellationToken,
}

impl Default for ProgramOptions {
    fn default() -> Self {
        Self {
            format: OutputFormat::Text,
            pass_stdin: false,
            term_grace: DEFAULT_TERM_GRACE,
            drain_grace: Duration::from_secs(1),
            kill: CancellationToken::new(),
        }
    }
}

/// Runs a command as a worker.
///
/// - Standard output is `result.txt`, standard error `stderr.txt`, both written as they come, without their secrets. With a
///   [format](OutputFormat) standard output is `stdout.jsonl`, and the result is what it says.
/// - An exit code other than 0, or a signal, fails the worker.
/// - The command runs in a process group of its own. When the worker is to stop, the group gets SIGTERM and after
///   `term_grace` SIGKILL; when the agent is dropped, SIGKILL at once; and after a normal exit whatever it left in the
///   background is killed. What leaves the group (`setsid`) outlives the worker.
/// - What it appends to its metrics file, an event of `metrics.jsonl` a line, is checked and recorded as the worker's own.
///
/// **It confines nothing**: the program may do whatever this process may, with this process's environment.
#[derive(Debug)]
pub struct ProgramAgent {
    command: ProgramCommand,
    options: ProgramOptions,
}

impl ProgramAgent {
    /// An agent that runs `command`, a program and its arguments. The program is looked for now.
    ///
    /// # Errors
    /// [`CommandError`] if there is no such program, or it may not be run.
    pub fn new(
        command: impl IntoIterator<Item = OsString>,
        options: ProgramOptions,
    ) -> Result<Self, CommandError> {
        Ok(Self {
            command: ProgramCommand::find(command)?,
            options,
        })
    }

    /// The command as one would type it into a shell.
    pub fn command_line(&self) -> String {
        self.command.line()
    }

    /// More for the worker's `config`: the command, word by word, and the format.
    pub fn config(&self) -> Map<String, Value> {
        let words = self.command.words().map(|it| it.to_string_lossy());
        let mut config = Map::new();
        config.insert("command".to_owned(), words.collect());
        config.insert("format".to_owned(), self.options.format.as_str().into());
        config
    }

    fn command(
        &self,
        context: &AgentContext,
        collector: &MetricsCollector,
        files: &Files,
    ) -> Command {
        let mut command = std::process::Command::new(&self.command.path);
        command
            .arg0(&self.command.name)
            .args(&self.command.arguments)
            .stdin(if self.options.pass_stdin {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env(WORKER_ID_VARIABLE, context.worker_id().as_str())
            .env(TRACEPARENT_VARIABLE, collector.trace().traceparent())
            .env(METRICS_FILE_VARIABLE, &files.metrics_path);
        command.into()
    }

    /// Waits for the program's end, or sees to it, and reads meanwhile.
    ///
    /// Leaves it unreaped. Gives how long what it started may still hold its output open.
    async fn end(
        &self,
        group: &mut ProcessGroup,
        stopping: &CancellationToken,
        streams: &mut Streams,
    ) -> Duration {
        let read_on = streams.read_on();
        tokio::pin!(read_on);
        select! {
            biased;
            () = group.exited() => return self.options.drain_grace,
            () = stopping.cancelled() => {
                group.signal(Signal::TERM);
                group.signal(Signal::CONT); // Stopped ones end too.
            }
            never = &mut read_on => match never {},
        }
        let asked_at = Instant::now();
        select! {
            biased;
            // A shell that ran the real program may go first.
            () = group.exited() => self.options.term_grace.saturating_sub(asked_at.elapsed()),
            () = self.options.kill.cancelled() => Duration::ZERO,
            () = sleep(self.options.term_grace) => Duration::ZERO,
            never = &mut read_on => match never {},
        }
    }

    /// Reads what is still printed, `grace` at most; whether nobody holds an output open any more.
    async fn read_to_end(&self, streams: &mut Streams, grace: Duration) -> bool {
        select! {
            read = timeout(grace, streams.read_to_end()) => read.is_ok(),
            () = self.options.kill.cancelled() => true, // There is no time to find out.
        }
    }
}

#[async_trait]
impl Agent for ProgramAgent {
    fn stop_grace(&self) -> Duration {
        const MARGIN: Duration = Duration::from_secs(1);
        let options = &self.options;
        let graces = [options.term_grace, options.drain_grace, options.drain_grace];
        graces
            .into_iter()
            .fold(LAST_READ + MARGIN, Duration::saturating_add)
    }

    async fn run(&self, task: &str, context: &AgentContext) -> Result<(), AgentError> {
        context.say(Message::text(Role::User, task));
        let Some(collector) = MetricsCollector::current() else {
            return Err(cannot("record", &"the agent runs outside of a worker"));
        };
        let files = Files::make(context, self.options.format)
            .map_err(|it| cannot("keep what the program writes", &it))?;
        let mut group = ProcessGroup::spawn(&mut self.command(context, &collector, &files))
            .map_err(|it| cannot(&format!("start `{}`", self.command.line()), &hint(&it)))?;
        let clock = Clock::system();
        let reader = self.options.format.reader(&self.command, clock.clone());
        let reading = reader.map(Reading::new);
        let mut streams = Streams::new(
            group.outputs(),
            files,
            reading,
            collector,
            clock,
            context.redactor(),
        );

        let stopping = context.stopping();
        let drain_grace = self.end(&mut group, &stopping, &mut streams).await;
        self.read_to_end(&mut streams, drain_grace).await;
        let status = group.reap().await;
        let status = status.map_err(|it| cannot("wait for the program", &it))?;
        if !self
            .read_to_end(&mut streams, self.options.drain_grace)
            .await
        {
            context.warn("a process that left the program's group held its output open; what it prints from now on is not kept");
        }
        let mut stopped_at = None;
        let metrics = streams.metrics_file();
        let read = streams.finish(|| {
            let is_stopping = stopping.is_cancelled();
            let stopped_at = is_stopping.then(|| *stopped_at.get_or_insert_with(Instant::now));
            stopped_at.is_some_and(|it| it.elapsed() > LAST_READ)
        });
        let mut read = read.await;
        if let Err(error) = metrics.and_then(|it| redacted_file::replace(&it, METRICS, context)) {
            read.warnings
                .push(format!("`{METRICS}` may hold secrets: {error}"));
        }
        conclude(status, read, context)
    }
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> AgentError {
    AgentError::Other(format!("cannot {what}: {error}"))
}

/// How the worker ends, and what is to be known about it.
fn conclude(status: ExitStatus, read: Read, context: &AgentContext) -> Result<(), AgentError> {
    let (exit_code, signal) = code_and_signal(status);
    context.describe(
        PROGRAM,
        json!({
            "exit_code": exit_code,
            "signal": signal,
            "stdout_bytes": read.stdout_bytes,
            "stderr_bytes": read.stderr_bytes,
            "metrics": read.metrics.facts(),
            "format": read.said.as_ref().map(|it| &it.facts),
        }),
    );
    for warning in read.warnings {
        context.warn(warning);
    }
    let Said { result, error, .. } = read.said.unwrap_or_default();
    if let Some(result) = result {
        context.say(Message::text(Role::Assistant, result));
    }
    let why = match (failure(status), error) {
        (None, None) => return Ok(()),
        (Some(failure), None) => failure,
        (None, Some(error)) => error,
        (Some(failure), Some(error)) => format!("{failure}: {error}"),
    };
    Err(AgentError::Other(match read.stderr_bytes {
        0 => why,
        _ => format!("{why} (see {STDERR})"),
    }))
}

/// `exit_code` and `signal` as they stand in the metadata; one of them is null.
fn code_and_signal(status: ExitStatus) -> (Value, Value) {
    let name = |it| signal_name(it).map_or_else(|| json!(it.to_string()), |name| json!(name));
    (
        json!(status.code()),
        status.signal().map_or(Value::Null, name),
    )
}

/// Why a program that is there did not start, and what to do.
fn hint(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            format!("{error}; its first line may name an interpreter that is not there")
        }
        io::ErrorKind::ArgumentListTooLong => {
            format!("{error}; put the material into a file and name it in an argument")
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => format!(
            "{error}; a script needs a first line such as `#!/bin/sh`, or its interpreter named before it"
        ),
        _ => error.to_string(),
    }
}
