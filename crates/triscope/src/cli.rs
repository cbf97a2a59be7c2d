//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, builder::NonEmptyStringValueParser};
use supervisor_tools::RowStatus;

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
    /// Also log to stderr
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a handful of real workers and show all three tiers
    Demo,
    /// Run one worker on a task and print its result
    Run(Run),
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
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// What the worker shall do, such as "calculate 7*6"
    pub(crate) task: String,
    /// The model it uses
    #[arg(long, default_value = offline_model::OFFLINE_MODEL)]
    pub(crate) model: String,
    /// Stop it after so long, such as 90, 1.5s or 5m [default: 5m]
    #[arg(long, value_parser = parse_timeout, value_name = "TIME", allow_negative_numbers = true)]
    pub(crate) timeout: Option<Duration>,
    /// Whose the worker is
    #[arg(long, default_value = artifact_store::DEFAULT_OWNER, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) owner: String,
    /// Print an object for programs
    #[arg(long)]
    pub(crate) json: bool,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory as _;

    use super::{Cli, parse_timeout};

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
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
