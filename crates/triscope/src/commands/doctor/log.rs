//! Tier 3: whether call events get through the log level, and whether the log holds them in our form.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use artifact_store::ArtifactStore;
use log_format::{LineSink, TELEMETRY_TARGET, parse_line};
use supervisor_tools::one_line;
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt as _};

use super::finding::{Finding, count, or_ok};

const LOG_LEVEL: &str = "log level";
const LOG_FILE: &str = "log file";
const LOG_LINES: &str = "log lines";

/// How much of the log's end is read.
const TAIL_BYTES: u64 = 4 << 20;

/// Whether `RUST_LOG` lets the events of calls through; successful calls are INFO, failed ones WARN.
pub(super) fn log_level(rust_log: Option<&str>) -> Vec<Finding> {
    let Some(directives) = rust_log.filter(|it| !it.trim().is_empty()) else {
        return vec![Finding::ok(
            LOG_LEVEL,
            "RUST_LOG is not set: calls are logged",
        )];
    };
    let shown = one_line(directives);
    let log = log_format::to_sink(Nowhere).filter(directives).build();
    let finding = if log.is_ok_and(|it| !lets_calls_through(it.filter)) {
        Finding::warn(
            LOG_LEVEL,
            format!("RUST_LOG=`{shown}` keeps successful calls out of the log"),
            "add `triscope::telemetry=info` to RUST_LOG, or unset it",
        )
    } else if !lets_calls_through(EnvFilter::builder().parse_lossy(directives)) {
        // Without our own set-up nothing keeps the calls.
        Finding::warn(
            LOG_LEVEL,
            format!(
                "RUST_LOG=`{shown}`: triscope logs calls all the same, a program with a subscriber of its own does not"
            ),
            "for such a program, add `triscope::telemetry=info` to RUST_LOG",
        )
    } else {
        Finding::ok(LOG_LEVEL, format!("RUST_LOG=`{shown}` lets calls through"))
    };
    vec![finding]
}

fn lets_calls_through(filter: EnvFilter) -> bool {
    let subscriber = Registry::default().with(filter);
    tracing::subscriber::with_default(
        subscriber,
        || tracing::enabled!(target: TELEMETRY_TARGET, tracing::Level::INFO),
    )
}

#[derive(Debug)]
struct Nowhere;

impl LineSink for Nowhere {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
}

/// Whether the log is where it is looked for, and holds the calls. `are_events` says whether any worker recorded some.
pub(super) fn log_file(store: &ArtifactStore, path: &Path, are_events: bool) -> Vec<Finding> {
    let shown = one_line(&path.display().to_string());
    let elsewhere = "look for it where --log-file or the program's own set-up puts it; rotated parts stand beside it";
    match fs::metadata(path) {
        Ok(it) if it.is_file() => {}
        Ok(_) => {
            let found = format!("`{shown}` is no plain file, so its lines cannot be looked at");
            let advice = "look at where it leads";
            return vec![Finding::warn(LOG_FILE, found, advice).at(path)];
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && !are_events => {
            return vec![Finding::ok(LOG_FILE, format!("`{shown}`: none yet")).at(path)];
        }
        Err(error) => {
            let mut found = if error.kind() == io::ErrorKind::NotFound {
                format!("there is no `{shown}`")
            } else {
                format!("`{shown}` cannot be read: {error}")
            };
            let others = other_logs(store, path);
            if !others.is_empty() {
                let _ = write!(found, "; there is {}", one_line(&others.join(", ")));
            }
            return vec![Finding::warn(LOG_FILE, found, elsewhere).at(path)];
        }
    }
    match tail(path) {
        Ok((text, is_whole)) => {
            let mut findings = vec![Finding::ok(LOG_FILE, format!("`{shown}` is there")).at(path)];
            findings.extend(log_lines(path, &text, is_whole, are_events));
            findings
        }
        Err(error) => {
            let found = format!("`{shown}` cannot be read: {error}");
            vec![Finding::warn(LOG_FILE, found, "change its owner or mode").at(path)]
        }
    }
}

fn log_lines(path: &Path, text: &str, is_whole: bool, are_events: bool) -> Vec<Finding> {
    let (mut lines, mut calls, mut not_ours) = (0_u64, 0_u64, 0_u64);
    let (mut fieldless, mut misshapen) = (0_u64, 0_u64);
    let mut dropped: Option<&str> = None;
    for line in text.lines().filter(|it| !it.trim().is_empty()) {
        lines += 1;
        let parsed = parse_line(line);
        if let Ok(line) = &parsed {
            calls += u64::from(line.is_telemetry() && line.get("event").is_some());
        } else {
            not_ours += 1;
        }
        // The names of our events are in it, and what belongs to them is not: what a formatter does that prints only
        // messages.
        let is_call = line.contains("llm_call_complete") || line.contains("tool_call_complete");
        if is_call && !line.contains(" event=") {
            fieldless += 1;
        } else if is_call && parsed.is_err() {
            misshapen += 1;
        }
        if line.contains(" events_dropped ") {
            dropped = Some(line);
        }
    }
    let recent = if is_whole { "" } else { "recent " };
    let mut problems = Vec::new();
    if fieldless > 0 {
        let found = format!("{} of calls without their fields", count(fieldless, "line"));
        let advice = "the formatter leaves out fields: log with log_format::to_file(…).install(), or put its LogFormat into your own layer";
        problems.push(Finding::fail(LOG_LINES, found, advice).at(path));
    } else if misshapen > 0 {
        let found = format!("{} of calls in another form", count(misshapen, "line"));
        let advice = "the recipes for grep and awk need the form of log_format: log with log_format::to_file(…).install()";
        problems.push(Finding::warn(LOG_LINES, found, advice).at(path));
    } else if calls == 0 && are_events {
        let found = format!(
            "{} {recent}in it, and none has `event=`",
            count(lines, "line")
        );
        let advice = "check the log level, that the program installs log_format, and that it logs to this file";
        problems.push(Finding::warn(LOG_LINES, found, advice).at(path));
    }
    if let Some(line) = dropped {
        let found = format!("lines were dropped, last: {}", one_line(line));
        let advice = "the disk was full or slow; see that it has room";
        problems.push(Finding::warn(LOG_LINES, found, advice).at(path));
    }
    let mut found = format!("{} {recent}in it, {} of calls", count(lines, "line"), calls);
    if not_ours > 0 {
        let _ = write!(found, ", {not_ours} in another form");
    }
    or_ok(problems, LOG_LINES, found)
}

/// The end of a file from a line's beginning on, and whether that is all of it.
fn tail(path: &Path) -> io::Result<(String, bool)> {
    let mut file = File::open(path)?;
    let begin = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if begin == 0 {
        return Ok((text, true));
    }
    let (_, rest) = text.split_once('\n').unwrap_or_default();
    Ok((rest.to_owned(), false))
}

/// Logs that stand near to where one was looked for.
fn other_logs(store: &ArtifactStore, path: &Path) -> Vec<String> {
    let dirs = [Some(store.own_dir()), path.parent().map(PathBuf::from)];
    let mut logs: Vec<_> = dirs
        .into_iter()
        .flatten()
        .filter_map(|it| fs::read_dir(it).ok())
        .flat_map(|it| it.filter_map(Result::ok))
        .filter(|it| it.file_name().to_string_lossy().contains(".log"))
        .map(|it| format!("`{}`", it.path().display()))
        .collect();
    logs.sort();
    logs.dedup();
    logs.truncate(5);
    logs
}
