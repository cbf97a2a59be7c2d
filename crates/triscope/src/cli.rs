//! The command line.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use artifact_store::RecordMode;
use clap::{Args, Parser, Subcommand, builder::NonEmptyStringValueParser};
use program_agent::OutputFormat;
use supervisor_tools::RowStatus;

use crate::models::ModelArgs;

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
    /// Run any command as a worker and print its result
    #[command(after_help = EXEC_HELP)]
    Exec(Exec),
    /// List jobs and workers, newest first
    Workers(Workers),
    /// Print a worker's result, with its execution time
    Result(Job),
    /// Print a file of a worker, such as metrics.jsonl
    File(File),
    /// Search all files of recent workers for a regular expression
    Grep(Grep),
    /// Print a worker's metadata
    Meta(Job),
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
    /// A regular expression; upper and lower case are the same
    pub(crate) pattern: String,
    /// Only workers of the last hours
    #[arg(long, value_parser = parse_hours, value_name = "HOURS", allow_negative_numbers = true, default_value_t = supervisor_tools::DEFAULT_GREP_HOURS)]
    pub(crate) since_hours: f64,
    #[command(flatten)]
    pub(crate) scope: Scope,
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
fn parse_timeout(text: &str) -> Result<Duration, String> {
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
