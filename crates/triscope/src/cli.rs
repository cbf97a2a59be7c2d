//! The command line.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU32, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use artifact_store::RecordMode;
use clap::{Args, Parser, Subcommand, builder::NonEmptyStringValueParser};
use metrics_analysis::{Condition, Format, Key};
use metrics_core::{Clock, Timestamp};
use program_agent::OutputFormat;
use supervisor_tools::RowStatus;

use crate::{models::ModelArgs, tools::ToolArgs};

/// See where worker agents' time, tokens and failures go.
///
/// Workers leave a directory each: result, conversation, tool outputs, and metrics.jsonl with every LLM and tool call.
/// Start with `triscope demo`.
#[derive(Debug, Parser)]
#[command(name = "triscope", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 the job failed, or what was asked for is not there; 2 bad usage; \
3 data directory or store unusable; 129 SIGHUP; 130 Ctrl-C; 131 SIGQUIT; 143 SIGTERM.";

#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Where the workers' directories are [default: the variable `SWARMLET_DATA_PATH`, else /data/swarmlet/workers if it can be written,
    /// else triscope/workers in your data directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the log lines go [default: .triscope/triscope.log in the data directory]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) log_file: Option<PathBuf>,
    /// Write secrets as they are into every file and the log, instead of `[redacted]`
    #[arg(long, global = true)]
    pub(crate) keep_secrets: bool,
    /// Prices of your own, which go before those of the program [default: the variable `TRISCOPE_PRICES`]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TRISCOPE_PRICES",
        hide_env = true
    )]
    pub(crate) prices: Option<PathBuf>,
    /// Print results without the line that tells their calls, tokens and cost
    #[arg(long, global = true)]
    pub(crate) no_usage: bool,
    /// Also log to stderr
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a handful of real workers and show all three tiers
    Demo(Demo),
    /// Run one worker on a task and print its result
    Run(Run),
    /// Let a supervisor hand the parts of a goal to workers and print its answer
    #[command(after_help = ASK_HELP)]
    Ask(Ask),
    /// Write a task down for `triscope work` and print its job number
    Spawn(Spawn),
    /// Take tasks from the queue and run them, until stopped
    #[command(after_help = WORK_HELP)]
    Work(Work),
    /// Wait for a job's end and print its result
    Wait(Wait),
    /// Stop a job, wherever it runs; one that waits never starts
    Cancel(Job),
    /// Run any command as a worker and print its result
    #[command(after_help = EXEC_HELP)]
    Exec(Exec),
    /// Serve the supervisor tools to an MCP client, over standard input and output or over HTTP
    #[command(after_help = MCP_HELP)]
    Mcp(Mcp),
    /// List jobs and workers, newest first
    Workers(Workers),
    /// Print a worker's result, with its execution time
    Result(Job),
    /// Print a file of a worker, such as metrics.jsonl
    File(File),
    /// Search all files of recent workers, or a log, for a regular expression
    #[command(after_help = GREP_HELP)]
    Grep(Grep),
    /// Print a worker's metadata
    Meta(Job),
    /// Group calls and sum up their time, tokens and failures
    #[command(after_help = ANALYSIS_HELP)]
    Report(Report),
    /// The slowest calls, with worker and line
    #[command(after_help = ANALYSIS_HELP)]
    Slow(Slow),
    /// Failed calls by tool and error
    #[command(after_help = ANALYSIS_HELP)]
    Failures(Failures),
    /// How long calls take, as bars
    #[command(after_help = ANALYSIS_HELP)]
    Histogram(Histogram),
    /// One worker's calls on a time axis, with the agent's own time between them
    Timeline(Timeline),
    /// What differs between two sets of calls, and whether that is more than noise
    #[command(after_help = COMPARE_HELP)]
    Compare(Compare),
    /// Print all that belongs together as a tree: a worker, those that it started and was started by, and their calls
    Trace(Trace),
    /// Remove the oldest ended workers
    Prune(Prune),
    /// Print what a model costs, and where the prices come from
    #[command(after_help = PRICES_HELP)]
    Prices(Prices),
    /// Look for what is wrong, and say what to do about it; changes nothing
    Doctor(Doctor),
    /// Print a script that completes commands and options in a shell
    Completions(Completions),
    /// Print the manual page, for `man -l -`
    Man,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    pub(crate) models: ModelArgs,
    #[command(flatten)]
    pub(crate) recording: Recording,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// What the worker shall do, such as "calculate 7*6"
    pub(crate) task: String,
    #[command(flatten)]
    pub(crate) models: ModelArgs,
    /// Stop it after so long, such as 90, 1.5s or 5m [default: 5m]
    #[arg(long, value_parser = parse_timeout, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,
    /// Whose the worker is
    #[arg(long, default_value = artifact_store::DEFAULT_OWNER, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) owner: String,
    /// Print an object for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) recording: Recording,
    #[command(flatten)]
    pub(crate) tools: ToolArgs,
}

const ASK_HELP: &str = "\
The supervisor is a worker itself, with a job and metrics of its own; the workers that it spawns are below it in \
`triscope trace`. They have the tools of `triscope run`, and are cancelled when it ends.

With offline-rules it understands nothing: each line, sentence or part before a semicolon goes to a worker of its own, side \
by side; what follows `and then` waits for those before. The answer is what they answered, which of them failed, and where \
the slowest one's time went.

Exit codes: 0 the supervisor gave an answer, however its workers ended; 1 it failed, ran out of time or was cancelled; 2 bad \
usage; 3 data directory or store unusable; 129 SIGHUP; 130 Ctrl-C; 131 SIGQUIT; 143 SIGTERM.";

#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// What is to be found out or done, such as "calculate 7*6; tell the time"
    pub(crate) goal: String,
    #[command(flatten)]
    pub(crate) models: ModelArgs,
    /// The model that its workers ask, of the same server, or offline-rules [default: that of --model]
    #[arg(long, value_name = "MODEL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) worker_model: Option<String>,
    /// Stop it and its workers after so long, such as 90, 1.5s or 5m [default: 30m; each worker: 5m]
    #[arg(long, value_parser = parse_timeout, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,
    /// Whose the supervisor and its workers are
    #[arg(long, default_value = artifact_store::DEFAULT_OWNER, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) owner: String,
    /// Print an object for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) recording: Recording,
    #[command(flatten)]
    pub(crate) tools: ToolArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Spawn {
    /// What the worker shall do, such as "calculate 7*6"; its tools work in this directory
    pub(crate) task: String,
    #[command(flatten)]
    pub(crate) models: ModelArgs,
    /// Stop it after so long, such as 90, 1.5s or 5m [default: 5m]
    #[arg(long, value_parser = parse_timeout, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,
    /// Begin it anew, up to so many times in all, if the process that runs it dies; only for tasks that may be done twice
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) max_attempts: NonZeroU32,
    /// Whose the worker is
    #[arg(long, default_value = artifact_store::DEFAULT_OWNER, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) owner: String,
    /// Print an object for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) tools: ToolArgs,
}

const WORK_HELP: &str = "\
Any number of these may run at once. Keys of models come from this command's environment, all else from the job.

SIGTERM or Ctrl-C: takes no more jobs, and lets those that run go on for the grace; then, or at a second \
signal, they are cancelled, or put back into the queue if they have attempts left. A third one ends at once.

Exit codes: 0 the queue is empty (--drain); 2 bad usage; 3 data directory or store unusable; \
129 SIGHUP; 130 Ctrl-C; 131 SIGQUIT; 143 SIGTERM. How the jobs end does not matter.";

#[derive(Debug, Args)]
pub(crate) struct Work {
    /// Run so many workers at once
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::new(supervisor_tools::DEFAULT_CONCURRENCY).unwrap_or(NonZeroUsize::MIN))]
    pub(crate) concurrency: NonZeroUsize,
    /// Only this owner's jobs [default: everybody's, in turns]
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) owner: Option<String>,
    /// End once nothing waits and nothing runs here
    #[arg(long)]
    pub(crate) drain: bool,
    /// On a signal, cancel the workers that still run after so long
    #[arg(long, value_parser = parse_timeout, value_name = "TIME", default_value = "25s")]
    pub(crate) grace: Duration,
    #[command(flatten)]
    pub(crate) recording: Recording,
}

#[derive(Debug, Args)]
pub(crate) struct Wait {
    #[command(flatten)]
    pub(crate) job: Job,
    /// Give up after so long; the job goes on [default: never]
    #[arg(long, value_parser = parse_timeout, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct Recording {
    /// What recording an event waits for: nothing (buffered), the kernel (write-through) or the disk (fsync)
    #[arg(long = "recording", value_name = "MODE", default_value_t)]
    pub(crate) mode: RecordMode,
}

const EXEC_HELP: &str = "\
What the command prints is the result (result.txt), its standard error is kept (stderr.txt). It finds \
TRISCOPE_WORKER_ID, TRACEPARENT and TRISCOPE_METRICS_FILE in its environment; a line of metrics.jsonl \
appended to that file becomes an event of the worker.

Exit codes: 0 it exited with 0; 1 it failed, ran out of time, or could not start (its own exit code is in \
the text, in --json and in metadata.json); 2 bad usage, or no such command; 3 data directory or store \
unusable; 129 SIGHUP; 130 Ctrl-C; 131 SIGQUIT; 143 SIGTERM.";

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// What it shall do, for people and lists [default: the command line]
    #[arg(long)]
    pub(crate) task: Option<String>,
    /// Stop it after so long, such as 90, 1.5s or 5m [default: 5m]
    #[arg(long, value_parser = parse_timeout, value_name = "TIME")]
    pub(crate) timeout: Option<Duration>,
    /// When it is to stop, kill it so long after asking it to end [default: 5s]
    #[arg(long, value_parser = parse_timeout, value_name = "TIME")]
    pub(crate) grace: Option<Duration>,
    /// Whose the worker is
    #[arg(long, default_value = artifact_store::DEFAULT_OWNER, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) owner: String,
    /// What it prints: text, claude-stream-json or codex-json; of the latter two, model and tool calls become events
    #[arg(long, default_value_t = OutputFormat::Text)]
    pub(crate) format: OutputFormat,
    /// Let it read this standard input, a pipe or a file; otherwise its own is empty
    #[arg(long)]
    pub(crate) stdin: bool,
    #[command(flatten)]
    pub(crate) recording: Recording,
    /// Print an object for programs
    #[arg(long)]
    pub(crate) json: bool,
    /// The command and its arguments, after `--`
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

const MCP_HELP: &str = "\
A client starts this command and talks to it; with --http it runs by itself and many clients talk to it. \
Workers work in the current directory, and are cancelled when the command ends: when the client closes \
standard input, or at a signal.

With tokens, each client sees the workers of its token's owner. They are read from the file of --tokens, \
a line `OWNER TOKEN` each; or one token, of --owner, from the variable TRISCOPE_MCP_TOKEN.

Exit codes: 0 the client is done; 2 bad usage, or no usable token where one is needed; 3 data directory, \
store or address unusable; 129 SIGHUP; 130 Ctrl-C; 131 SIGQUIT; 143 SIGTERM.";

#[derive(Debug, Args)]
pub(crate) struct Mcp {
    #[command(flatten)]
    pub(crate) models: ModelArgs,
    /// Whose workers a client without a token sees and spawns
    #[arg(long, default_value = artifact_store::DEFAULT_OWNER, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) owner: String,
    /// Serve over HTTP, at /mcp, on this port of this machine, or on this address; 0 takes a free port
    #[arg(long, value_parser = parse_listen, value_name = "[IP:]PORT")]
    pub(crate) http: Option<SocketAddr>,
    /// A file with a line `OWNER TOKEN` for each token that a client may have; needed on addresses that others can reach
    #[arg(long, value_name = "FILE", requires = "http")]
    pub(crate) tokens: Option<PathBuf>,
    /// Another name that clients know this machine by; more than one may be given
    #[arg(long = "http-host", value_name = "NAME", requires = "http")]
    pub(crate) http_hosts: Vec<String>,
    /// Let web pages from here ask, such as `https://host:443`; more than one may be given [default: none]
    #[arg(long = "http-origin", value_name = "ORIGIN", requires = "http")]
    pub(crate) http_origins: Vec<String>,
    #[command(flatten)]
    pub(crate) recording: Recording,
    #[command(flatten)]
    pub(crate) tools: ToolArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Workers {
    /// At most so many
    #[arg(long, default_value_t = supervisor_tools::DEFAULT_LIMIT, value_parser = parse_limit, allow_negative_numbers = true)]
    pub(crate) limit: usize,
    /// Only those that are queued, created, running, success, failed, timeout or cancelled
    #[arg(long)]
    pub(crate) status: Option<RowStatus>,
    /// Only those of the last hours
    #[arg(long, value_parser = parse_hours, value_name = "HOURS", allow_negative_numbers = true)]
    pub(crate) since_hours: Option<f64>,
    /// Show what changes, until stopped: on a terminal the list itself, else a line a change
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) scope: Scope,
}

#[derive(Debug, Args)]
pub(crate) struct Job {
    /// A job's number or a worker's id
    #[arg(allow_negative_numbers = true)]
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) scope: Scope,
}

#[derive(Debug, Args)]
pub(crate) struct File {
    /// A job's number or a worker's id
    #[arg(allow_negative_numbers = true)]
    pub(crate) job: String,
    /// The file, relative to the worker's directory
    #[arg(default_value = "metrics.jsonl")]
    pub(crate) path: String,
    /// Begin at this byte
    #[arg(long, default_value_t = 0)]
    pub(crate) offset: u64,
    /// Print the whole file and nothing else, for a pipe
    #[arg(long, conflicts_with = "json")]
    pub(crate) raw: bool,
    #[command(flatten)]
    pub(crate) scope: Scope,
}

#[derive(Debug, Args)]
pub(crate) struct Grep {
    /// A regular expression; upper and lower case are the same, unless told otherwise
    pub(crate) pattern: String,
    /// Print the lines of these files instead, such as a log; they may be packed (.gz, .zst), and - is standard input
    #[arg(value_name = "PATH", conflicts_with_all = ["since_hours", "owner"])]
    pub(crate) paths: Vec<PathBuf>,
    /// Take upper and lower case for different, which is quicker, too
    #[arg(long, short = 's', requires = "paths")]
    pub(crate) case_sensitive: bool,
    /// Print only how many lines of each PATH match
    #[arg(long, short, requires = "paths")]
    pub(crate) count: bool,
    /// Only workers of the last hours
    #[arg(long, value_parser = parse_hours, value_name = "HOURS", allow_negative_numbers = true, default_value_t = supervisor_tools::DEFAULT_GREP_HOURS)]
    pub(crate) since_hours: f64,
    #[command(flatten)]
    pub(crate) scope: Scope,
}

const GREP_HELP: &str = "\
Of workers it prints at most 50 lines, the newest worker's first, and stops after two seconds; it says so. Of PATHs it \
prints all lines as they stand, behind PATH: if there are several. Of a line of more than 4 MiB it looks at the beginning, and \
says so.

Exit codes: 0 done, also where nothing was found; 1 a PATH could not be read; 2 bad usage, such as a pattern that is none; \
3 data directory unusable.";

const ANALYSIS_HELP: &str = "\
PATH is a metrics.jsonl (also .gz or .zst, or of another writer), a log file, a worker's directory, id or \
job number, a data directory, or - for standard input; without one, all workers of the data directory are read.

--where compares fields with =, !=, <, <=, >, >= and joins comparisons with and, or, not: \
--where \"duration_ms > 10000 and success = false\". Fields: event, phase, model, tool, provider, worker, owner, status, \
error, success, start_ts, end_ts, duration_ms, prompt_tokens, completion_tokens, total_tokens, cached_tokens, \
cache_write_tokens, reasoning_tokens, ttft_ms, attempt, cost_usd. A call without the field fits no comparison.

What cannot be used is counted and named on stderr, and is in no number.

Exit codes: 0 done, also where lines could not be used; 1 a PATH could not be read; 2 bad usage; 3 data directory \
unusable.";

#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) calls: Calls,
    /// What to group by, up to four of: event, model, phase, tool, provider, worker, owner, status, hour, day
    #[arg(
        long,
        value_name = "KEYS",
        value_delimiter = ',',
        default_value = "model,tool"
    )]
    pub(crate) by: Vec<Key>,
    /// The column to sort by: numbers from the largest down, texts upwards [default: the time taken; of times, the time]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) sort: Option<String>,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Go on, and print the report anew whenever it changes
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Slow {
    #[command(flatten)]
    pub(crate) calls: Calls,
    /// So many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Failures {
    #[command(flatten)]
    pub(crate) calls: Calls,
    /// At most so many rows
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Histogram {
    #[command(flatten)]
    pub(crate) calls: Calls,
    /// A row for each duration there is, to the millisecond
    #[arg(long)]
    pub(crate) each: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Timeline {
    /// A worker's id, job number or directory, or a metrics.jsonl
    pub(crate) worker: PathBuf,
    /// table (a drawing), json, jsonl, csv or markdown
    #[arg(long, default_value = "table")]
    pub(crate) format: Format,
}

const COMPARE_HELP: &str = "\
A and B are each what `report` reads, or a span of time of the data directory's workers, FROM..TO, of which one end may be \
missing: triscope compare 2025-12-01..2025-12-08 2025-12-08..

EFFECT is how much more often a call of B takes longer than one of A than the other way round, from -1 to 1. A verdict says \
what is more than noise: chance alone would give one in less than 1 % of comparisons.";

#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Before
    pub(crate) a: PathBuf,
    /// After
    pub(crate) b: PathBuf,
    #[command(flatten)]
    pub(crate) filter: CallFilter,
    /// What to group by, as `report` does
    #[arg(
        long,
        value_name = "KEYS",
        value_delimiter = ',',
        default_value = "model,tool"
    )]
    pub(crate) by: Vec<Key>,
    /// table, json, jsonl, csv or markdown
    #[arg(long, default_value = "table")]
    pub(crate) format: Format,
}

/// Which calls, and how the answer is printed.
#[derive(Debug, Args)]
pub(crate) struct Calls {
    /// What to read [default: the data directory]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) filter: CallFilter,
    /// table, json, jsonl, csv or markdown
    #[arg(long, default_value = "table")]
    pub(crate) format: Format,
}

/// Which calls are wanted: those that fit all that is given; of a list, one.
#[derive(Debug, Args)]
pub(crate) struct CallFilter {
    /// Calls that ended then or later: a time, a day, or so long ago (90m, 12h, 7d)
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub(crate) since: Option<Timestamp>,
    /// Calls that ended before
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub(crate) until: Option<Timestamp>,
    /// Of these owners' workers
    #[arg(long, value_delimiter = ',')]
    pub(crate) owner: Vec<String>,
    /// Of workers with these statuses, as their metadata has it
    #[arg(long, value_delimiter = ',')]
    pub(crate) status: Vec<artifact_store::Status>,
    /// Calls of these models
    #[arg(long, value_delimiter = ',')]
    pub(crate) model: Vec<String>,
    /// Calls of these tools
    #[arg(long, value_delimiter = ',')]
    pub(crate) tool: Vec<String>,
    /// Model calls in these phases
    #[arg(long, value_delimiter = ',')]
    pub(crate) phase: Vec<String>,
    /// Calls of these workers, by id
    #[arg(long, value_delimiter = ',')]
    pub(crate) worker: Vec<String>,
    /// Calls that fit a condition, such as "not success and phase = 'summary'"
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<Condition>,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    #[command(flatten)]
    pub(crate) job: Job,
    /// Of each worker, at most so many calls besides those that started others: the slowest
    #[arg(long, value_name = "N", default_value_t = supervisor_tools::DEFAULT_TRACE_CALLS)]
    pub(crate) calls: usize,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Only this worker, and more about it: a job's number or a worker's id
    #[arg(allow_negative_numbers = true)]
    pub(crate) worker: Option<String>,
    /// Print JSON for programs
    #[arg(long)]
    pub(crate) json: bool,
}

const PRICES_HELP: &str = "\
A file of your own is named by --prices or the variable TRISCOPE_PRICES:
  {\"providers\": [{\"id\": \"localhost:11434\", \"models\": [
    {\"id\": \"qwen3\", \"match\": {\"starts_with\": \"qwen3\"}, \"prices\": [{\"input\": 0.05, \"output\": 0.2}]}]}]}

Exit codes: 0 done; 1 no such price is known; 2 bad usage, or a file that cannot be used.";

#[derive(Debug, Args)]
pub(crate) struct Prices {
    /// The model, as events name it [default: list the providers, or all models of one]
    pub(crate) model: Option<String>,
    /// Whose model it is, as events name it: openai, anthropic, or its server's host
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// Print JSON for programs
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell; bash: `triscope completions bash > ~/.local/share/bash-completion/completions/triscope`
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// Tell what would be removed and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) scope: Scope,
}

/// What must hold afterwards: at least one of these, and all that are given.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Bounds {
    /// Remove workers made longer ago than this, such as 90m, 12h, 30d or 2w
    #[arg(long, value_parser = parse_age, value_name = "AGE")]
    pub(crate) older_than: Option<Duration>,
    /// Remove all but the newest N workers
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,
    /// Remove the oldest until the rest takes no more than this, such as 500MB, 10GB or 1GiB
    #[arg(long, value_parser = parse_size, value_name = "SIZE")]
    pub(crate) max_bytes: Option<u64>,
}

#[derive(Debug, Args)]
pub(crate) struct Scope {
    /// Only this owner's [default: everybody's]
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) owner: Option<String>,
    /// Print JSON for programs
    #[arg(long)]
    pub(crate) json: bool,
}

/// `8377` is that port of this machine.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<u16>() {
        Ok(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        Err(_) => text.parse().map_err(|_| {
            "give a port, or an address and a port such as 127.0.0.1:8377 or [::1]:8377".to_owned()
        }),
    }
}

fn parse_limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err("give a number of workers above 0".to_owned()),
    }
}

fn parse_hours(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(hours) if hours > 0.0 && hours <= 1e9 => Ok(hours),
        _ => Err("give a number of hours above 0 and up to 1e9".to_owned()),
    }
}

/// `90`, `90s`, `1.5m`, `2h`, `7d`, `250ms`.
pub(crate) fn parse_timeout(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 6] = [
        ("ms", 0.001),
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
        ("d", 86_400.0),
        ("", 1.0),
    ];
    let seconds = UNITS.iter().find_map(|(unit, seconds)| {
        let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(number * seconds)
    });
    match seconds {
        Some(seconds) if seconds > 0.0 && seconds <= 604_800.0 => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err("give a time above 0 and up to a week, such as 90, 1.5s, 5m, 2h or 7d".to_owned()),
    }
}

/// A timestamp, a day, or an age, counted from now.
pub(crate) fn parse_moment(text: &str) -> Result<Timestamp, String> {
    let moment = text.parse().ok();
    if let Some(moment) = moment.or_else(|| format!("{text}T00:00:00Z").parse().ok()) {
        return Ok(moment);
    }
    let age = parse_age(text).ok();
    let micros = age.and_then(|it| i64::try_from(it.as_micros()).ok());
    micros
        .map(|it| Clock::system().timestamp().plus_micros(-it))
        .ok_or_else(|| "give a time such as 2025-12-15T04:08:08Z or 2025-12-15, or an age such as 90m, 12h or 7d".to_owned())
}

/// `90m`, `12h`, `30d`, `2w`, also `45s`. A bare number could be anything.
fn parse_age(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 5] = [
        ("s", 1.0),
        ("m", 60.0),
        ("h", 3600.0),
        ("d", 86_400.0),
        ("w", 604_800.0),
    ];
    with_unit(text, &UNITS)
        .and_then(|it| Duration::try_from_secs_f64(it).ok())
        .ok_or_else(|| "give a number and a unit, such as 90m, 12h, 30d or 2w".to_owned())
}

/// `500MB`, `10GB`, `1GiB`; without a unit, bytes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is not negative, and a size that is too large becomes the largest number"
)]
fn parse_size(text: &str) -> Result<u64, String> {
    const KIB: f64 = 1024.0;
    const UNITS: [(&str, f64); 10] = [
        ("kib", KIB),
        ("mib", KIB * KIB),
        ("gib", KIB * KIB * KIB),
        ("tib", KIB * KIB * KIB * KIB),
        ("kb", 1e3),
        ("mb", 1e6),
        ("gb", 1e9),
        ("tb", 1e12),
        ("b", 1.0),
        ("", 1.0),
    ];
    with_unit(&text.to_ascii_lowercase(), &UNITS)
        .map(|it| it as u64)
        .ok_or_else(|| "give a number and a unit, such as 500MB, 10GB or 1GiB".to_owned())
}

/// A number that is not negative, in the unit of a text whose number stands before it.
fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.');
    let (number, unit) = text.split_at(end.unwrap_or(text.len()));
    let (_, factor) = units
        .iter()
        .find(|(known, _)| *known == unit.trim_start())?;
    Some(number.parse::<f64>().ok()? * factor).filter(|it| it.is_finite())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory as _;

    use super::{Cli, parse_age, parse_size, parse_timeout};

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn ages_need_a_unit() {
        for (text, seconds) in [
            ("0s", 0),
            ("90m", 5400),
            ("12h", 43_200),
            ("30d", 2_592_000),
            ("2w", 1_209_600),
            ("1.5d", 129_600),
        ] {
            assert_eq!(parse_age(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "", "30", "-1d", "d", "1y", "1e3d", "NaNd", "1.2.3d", "٣d", "30 days",
        ] {
            assert!(parse_age(text).is_err(), "{text}");
        }
        assert!(parse_age(&format!("{}d", "9".repeat(400))).is_err());
        assert!(parse_age("99999999999999999999w").is_err());
    }

    #[test]
    fn sizes_are_read_in_decimal_and_binary_units() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("7B", 7),
            ("500MB", 500_000_000),
            ("10GB", 10_000_000_000),
            ("1GiB", 1 << 30),
            ("1.5 kb", 1500),
            ("2TiB", 2 << 40),
            ("99999999999TB", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "GB", "-1GB", "1XB", "1e9", "inf", "NaN", "1 2", "10G B"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn timeouts_are_read_in_usual_forms() {
        for (text, millis) in [
            ("90", 90_000),
            ("1.5s", 1500),
            ("250ms", 250),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(
                parse_timeout(text),
                Ok(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in ["", "0", "-1", "NaN", "inf", "1e18", "5 minutes", "s", "8d"] {
            assert!(parse_timeout(text).is_err(), "{text}");
        }
    }
}
