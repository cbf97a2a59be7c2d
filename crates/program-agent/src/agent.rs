//! A program's life as a worker: started, read, followed, ended.

use std::{
    convert::Infallible,
    ffi::OsString,
    io,
    os::unix::process::CommandExt as _,
    path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use metrics_collector::MetricsCollector;
use metrics_core::Clock;
use serde_json::{Map, Value, json};
use tokio::{
    io::AsyncRead,
    process::Command,
    select,
    time::{sleep, timeout},
};
use worker_runner::{Agent, AgentContext, AgentError, CancellationToken, Message, Role};

use crate::{
    METRICS_FILE_VARIABLE, OutputFormat, TRACEPARENT_VARIABLE, WORKER_ID_VARIABLE,
    command::{CommandError, ProgramCommand},
    ending,
    format::{Reading, Said},
    group::ProcessGroup,
    metrics_file::MetricsFile,
    output::{Output, Watch},
};

/// The key in `metadata.json` of how the program ended and what became of its output.
pub const PROGRAM: &str = "program";

const STDERR: &str = "stderr.txt";
const RESULT: &str = "result.txt";
/// Where the result is a part of what the program prints.
const STDOUT: &str = "stdout.jsonl";
const METRICS: &str = "child-metrics.jsonl";

/// How long output is still read once the program has exited, as something that it left in the background may hold the
/// pipe open; and once more when that is killed, as something may have left the group.
const DRAIN_GRACE: Duration = Duration::from_secs(1);
/// How long a worker that was stopped may still read its program's events.
const LAST_READ: Duration = Duration::from_secs(2);

/// How a program runs.
#[derive(Debug, Clone)]
pub struct ProgramOptions {
    /// What its standard output is.
    pub format: OutputFormat,
    /// Whether it reads this process's standard input; otherwise its own is empty.
    pub pass_stdin: bool,
    /// How long it may tidy up between SIGTERM and SIGKILL; 5 s by default.
    pub term_grace: Duration,
    /// Once cancelled, there is no grace any more: a worker that stops kills its program at once.
    pub kill: CancellationToken,
}

impl Default for ProgramOptions {
    fn default() -> Self {
        Self {
            format: OutputFormat::Text,
            pass_stdin: false,
            term_grace: Duration::from_secs(5),
            kill: CancellationToken::new(),
        }
    }
}

/// Runs a command as a worker.
///
/// - Standard output is `result.txt`, standard error `stderr.txt`, both written as they come. With a
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

    fn command(&self, context: &AgentContext, metrics_path: &path::Path) -> Command {
        let mut command = std::process::Command::new(&self.command.path);
        command
            .arg0(&self.command.name)
            .args(&self.command.arguments)
            .stdin(match self.options.pass_stdin {
                true => Stdio::inherit(),
                false => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env(WORKER_ID_VARIABLE, context.worker_id().as_str())
            .env(METRICS_FILE_VARIABLE, metrics_path);
        if let Some(collector) = MetricsCollector::current() {
            command.env(TRACEPARENT_VARIABLE, collector.trace().traceparent());
        }
        command.into()
    }

    /// Waits for the program's end, or sees to it. `pump` is polled meanwhile.
    ///
    /// Leaves it unreaped. Gives how long what it started may still hold its output open.
    async fn end(
        &self,
        group: &mut ProcessGroup,
        stopping: &CancellationToken,
        pump: impl Future<Output = Infallible>,
    ) -> Duration {
        tokio::pin!(pump);
        select! {
            biased;
            () = group.exited() => return DRAIN_GRACE,
            () = stopping.cancelled() => group.terminate(),
            never = &mut pump => match never {},
        }
        let asked_at = Instant::now();
        select! {
            biased;
            // A shell that ran the real program may go first.
            () = group.exited() => self.options.term_grace.saturating_sub(asked_at.elapsed()),
            () = self.options.kill.cancelled() => Duration::ZERO,
            () = sleep(self.options.term_grace) => Duration::ZERO,
            never = &mut pump => match never {},
        }
    }
}

#[async_trait]
impl Agent for ProgramAgent {
    fn stop_grace(&self) -> Duration {
        const MARGIN: Duration = Duration::from_secs(1);
        let rest = DRAIN_GRACE * 2 + LAST_READ + MARGIN;
        self.options.term_grace.saturating_add(rest)
    }

    async fn run(&self, task: &str, context: &AgentContext) -> Result<(), AgentError> {
        context.say(Message::text(Role::User, task));
        let cannot = |what: &str, error: &dyn std::fmt::Display| {
            AgentError::Other(format!("cannot {what}: {error}"))
        };
        let Some(collector) = MetricsCollector::current() else {
            return Err(cannot("record", &"the agent runs outside of a worker"));
        };
        let format = self.options.format;
        let stdout_name = match format {
            OutputFormat::Text => RESULT,
            _ => STDOUT,
        };
        let stdout_file = match format {
            OutputFormat::Text => context.create_result(),
            _ => context.create_artifact(STDOUT),
        };
        let stdout_file = stdout_file.map_err(|it| cannot("keep its output", &it))?;
        let stderr_file = context.create_artifact(STDERR);
        let stderr_file = stderr_file.map_err(|it| cannot("keep its output", &it))?;
        let metrics_file = context.create_artifact(METRICS);
        let metrics_file = metrics_file.map_err(|it| cannot("follow its metrics", &it))?;
        let metrics_path = path::absolute(context.worker_dir().join(METRICS))
            .map_err(|it| cannot("follow its metrics", &it))?;

        let clock = Clock::system();
        let mut metrics = MetricsFile::new(metrics_file, collector, clock.clone());
        let reading = format.reader(&self.command, clock).map(Reading::new);
        let mut group =
            ProcessGroup::spawn(&mut self.command(context, &metrics_path)).map_err(|it| {
                cannot(
                    &format!("start `{}`", self.command.line()),
                    &start_hint(&it),
                )
            })?;
        let (stdout, stderr) = group.outputs();
        let mut stdout = Output::new(stdout, stdout_file, reading);
        let mut stderr = Output::new(stderr, stderr_file, ());

        let stopping = context.stopping();
        let pump = async {
            let outputs = async {
                read_both(&mut stdout, &mut stderr).await;
                std::future::pending().await
            };
            let (never, ()) = tokio::join!(metrics.follow(), outputs);
            never
        };
        let drain_grace = self.end(&mut group, &stopping, pump).await;
        select! {
            _ = timeout(drain_grace, read_both(&mut stdout, &mut stderr)) => {}
            () = self.options.kill.cancelled() => {}
        }
        let status = group.reap().await;
        let status = status.map_err(|it| cannot("wait for it", &it))?;
        let drained = timeout(DRAIN_GRACE, read_both(&mut stdout, &mut stderr));
        let left_open = select! {
            drained = drained => drained.is_err(),
            () = self.options.kill.cancelled() => false,
        };
        let mut stopped_at = None;
        let counts = metrics.finish(|| {
            let stopped_at = stopping
                .is_cancelled()
                .then(|| *stopped_at.get_or_insert_with(Instant::now));
            stopped_at.is_some_and(|it| it.elapsed() > LAST_READ)
        });
        let counts = counts.await;

        if left_open {
            context.warn("a process that left the program's group still held its output open; what it prints is not kept");
        }
        let losses = [stdout.loss(stdout_name), stderr.loss(STDERR)];
        for warning in losses.into_iter().flatten().chain(counts.warnings()) {
            context.warn(warning);
        }
        let (exit_code, signal) = ending::code_and_signal(status);
        let (stdout_bytes, stderr_bytes) = (stdout.bytes(), stderr.bytes());
        let said = stdout.into_watcher().map(Reading::end);
        context.describe(
            PROGRAM,
            json!({
                "exit_code": exit_code,
                "signal": signal,
                "stdout_bytes": stdout_bytes,
                "stderr_bytes": stderr_bytes,
                "metrics": counts.facts(),
                "format": said.as_ref().map(|it| &it.facts),
            }),
        );
        outcome(status, said, stderr_bytes, context)
    }
}

/// How the worker ends, with what the program said of itself.
fn outcome(
    status: ExitStatus,
    said: Option<Said>,
    stderr_bytes: u64,
    context: &AgentContext,
) -> Result<(), AgentError> {
    let Said {
        result,
        error,
        warnings,
        ..
    } = said.unwrap_or_default();
    for warning in warnings {
        context.warn(warning);
    }
    if let Some(result) = result {
        context.say(Message::text(Role::Assistant, result));
    }
    let failure = match (ending::failure(status), error) {
        (None, None) => return Ok(()),
        (Some(failure), None) => failure,
        (None, Some(error)) => error,
        (Some(failure), Some(error)) => format!("{failure}: {error}"),
    };
    let hint = if stderr_bytes > 0 {
        format!(" (see {STDERR})")
    } else {
        String::new()
    };
    Err(AgentError::Other(failure + &hint))
}

async fn read_both<A, B, V, W>(one: &mut Output<A, V>, other: &mut Output<B, W>)
where
    A: AsyncRead + Unpin,
    B: AsyncRead + Unpin,
    V: Watch,
    W: Watch,
{
    tokio::join!(one.read_to_end(), other.read_to_end());
}

/// Why a program that is there did not start, and what to do.
fn start_hint(error: &io::Error) -> String {
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
