//! The texts a supervisor reads, to the letter.

use std::{fmt::Write as _, time::Duration};

use artifact_store::{EVENTS_LOST_REASON, FilePart, Metadata, Status, WorkerUsage};
use metrics_collector::{CallKind, InFlightCall};
use metrics_core::{DurationText, WorkerId, with_commas};
use model_prices::{CostSum, Usd};
use worker_runner::WARNINGS;

use crate::{Activity, Ordinal, dead::has_died, workers::WorkerRow};

/// An error in a text is at most as long as in an event.
const MAX_ERROR_CHARS: usize = 2000;
/// A name that is no name, such as a model made up, does not flood a text.
const MAX_NAME_CHARS: usize = 60;
pub(crate) const MAX_SUMMARY_CHARS: usize = 150;

/// Tier 1: the head of a result, one fact a line.
pub(crate) fn result_head(metadata: &Metadata, has_usage_line: bool) -> String {
    let mut head = String::new();
    if let Some(duration) = duration(metadata) {
        line(
            &mut head,
            format_args!("Execution time: {}", DurationText(duration)),
        );
    }
    if let Some(usage) = metadata.usage.as_ref().filter(|_| has_usage_line) {
        head.push_str(&usage_line(usage));
    }
    head.push_str(&loss_line(metadata));
    for warning in warnings(metadata) {
        line(&mut head, format_args!("Warning: {warning}"));
    }
    if metadata.status != Status::Success {
        line(&mut head, format_args!("Status: {}", metadata.status));
    }
    if let Some(error) = &metadata.error {
        let error = one_line(&cut(error, MAX_ERROR_CHARS));
        line(&mut head, format_args!("Error: {error}"));
    }
    head
}

/// What the calls came to when the worker ended:
/// `Usage: 3 LLM calls, 4,210 tokens, $0.0049; 2 tool calls (1 failed)`, or nothing where nothing was counted.
fn usage_line(usage: &WorkerUsage) -> String {
    let calls = |kind: &str, n: u64, failed: u64| {
        let s = if n == 1 { "" } else { "s" };
        let failed = match failed {
            0 => String::new(),
            failed => format!(" ({} failed)", with_commas(&failed.to_string())),
        };
        format!("{} {kind} call{s}{failed}", with_commas(&n.to_string()))
    };
    let mut parts = Vec::new();
    if usage.llm_calls > 0 {
        let mut part = calls("LLM", usage.llm_calls, usage.llm_failures);
        if let Some(tokens) = usage.total_tokens {
            let s = if tokens == 1 { "" } else { "s" };
            let _ = write!(part, ", {} token{s}", with_commas(&tokens.to_string()));
        }
        let known = usage.cost_usd.and_then(Usd::from_decimal);
        let unknown = usage.cost_unknown.iter();
        let sum = CostSum::new(known, unknown.map(|(model, n)| (model.clone(), *n)));
        if !sum.is_empty() {
            let _ = write!(part, ", {}", cost(&sum));
        }
        parts.push(part);
    }
    if usage.tool_calls > 0 {
        parts.push(calls("tool", usage.tool_calls, usage.tool_failures));
    }
    if parts.is_empty() {
        return String::new();
    }
    format!("Usage: {}\n", parts.join("; "))
}

/// A cost as a part of a line, whatever its models are called.
pub(crate) fn cost(sum: &CostSum) -> String {
    one_line(&sum.to_string())
}

/// `Warning: 12 events lost (disk full)`, or nothing where none are.
pub(crate) fn loss_line(metadata: &Metadata) -> String {
    let Some(lost) = metadata.events_lost.filter(|it| *it > 0) else {
        return String::new();
    };
    let events = if lost == 1 { "event" } else { "events" };
    let reason = metadata
        .extra
        .get(EVENTS_LOST_REASON)
        .and_then(|it| it.as_str());
    let reason = reason
        .map(|it| format!(" ({})", one_line(it)))
        .unwrap_or_default();
    format!("Warning: {lost} {events} lost{reason}\n")
}

/// What the agent warns of, one text a line.
fn warnings(metadata: &Metadata) -> impl Iterator<Item = String> {
    const SHOWN: usize = 10;
    let warnings = metadata.extra.get(WARNINGS).and_then(|it| it.as_array());
    let texts = warnings.into_iter().flatten().filter_map(|it| it.as_str());
    texts
        .take(SHOWN)
        .map(|it| one_line(&cut(it, MAX_ERROR_CHARS)))
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

/// How long the worker ran, as exactly as its metadata says.
pub(crate) fn duration(metadata: &Metadata) -> Option<Duration> {
    let exact = metadata.duration_us.map(Duration::from_micros);
    exact.or(metadata.duration_ms.map(Duration::from_millis))
}

/// `worker job 123 (worker 2025-…)`, or without a job `worker 2025-…`.
pub(crate) fn worker_name(job_id: Option<u64>, worker_id: &WorkerId) -> String {
    // A directory of another program may have any name.
    let worker_id = one_line(worker_id.as_str());
    match job_id {
        Some(id) => format!("worker job {id} (worker {worker_id})"),
        None => format!("worker {worker_id}"),
    }
}

/// Whatever names no job, and whoever's it is: one text.
pub(crate) fn not_found(given: &str) -> String {
    let given = one_line(&cut(given, 100));
    format!("job {given} not found. Use list_workers to see job ids.")
}

/// `job 5 is still running (12s; tool ssh_exec for 3s)`.
pub(crate) fn still_running(
    name: &str,
    elapsed: Option<Duration>,
    activity: Option<&Activity>,
) -> String {
    let elapsed = activity.map(|it| it.elapsed).or(elapsed);
    let mut facts: Vec<_> = elapsed.map(short_duration).into_iter().collect();
    if let Some(call) = activity.and_then(|it| it.in_flight.first()) {
        facts.push(call_in_flight(call));
    }
    let facts = if facts.is_empty() {
        String::new()
    } else {
        format!(" ({})", facts.join("; "))
    };
    format!("Error: {name} is still running{facts}. Call read_worker_result again later.")
}

/// `tool ssh_exec for 3s`.
pub(crate) fn call_in_flight(call: &InFlightCall) -> String {
    let kind = match call.kind {
        CallKind::Llm => "model",
        CallKind::Tool => "tool",
    };
    let name = one_line(&cut(&call.name, MAX_NAME_CHARS));
    format!("{kind} {name} for {}", short_duration(call.elapsed))
}

/// Of a worker that runs, or ran, where nothing here can see it.
pub(crate) fn unknown(name: &str, host: Option<&str>) -> String {
    let place = match host {
        Some(host) => format!("on the host `{}`", one_line(&cut(host, MAX_NAME_CHARS))),
        None => "elsewhere".to_owned(),
    };
    format!(
        "Error: {name} was started {place}, and whether it still runs is not known here. Look there, or call read_worker_file for what it has written."
    )
}

/// `job 5 is queued (3rd in line)`.
pub(crate) fn queued(id: u64, position: Option<u64>) -> String {
    let place = position
        .map(|it| format!(" ({} in line)", Ordinal(it)))
        .unwrap_or_default();
    format!("Error: job {id} is queued{place}. Call read_worker_result again later.")
}

/// One row of a list.
pub(crate) fn row(row: &WorkerRow, activity: Option<&Activity>) -> String {
    let worker_id = row.worker_id.as_ref().map(|it| one_line(it.as_str()));
    let name = match (row.job_id, worker_id) {
        (Some(id), Some(worker_id)) => format!("job {id} (worker {worker_id})"),
        (Some(id), None) => format!("job {id}"),
        (None, Some(worker_id)) => format!("worker {worker_id}"),
        (None, None) => "worker".to_owned(),
    };
    let time = match (row.duration, activity) {
        (Some(duration), _) => format!(", {}", DurationText(duration)),
        (None, Some(activity)) => format!(" for {}", short_duration(activity.elapsed)),
        (None, None) => row
            .elapsed
            .map(|it| format!(" for {}", short_duration(it)))
            .unwrap_or_default(),
    };
    let what = match row.summary.as_deref().filter(|it| !it.is_empty()) {
        Some(summary) => one_line(&cut(summary, MAX_SUMMARY_CHARS)),
        None => format!("task: {}", one_line(&cut(&row.task, MAX_SUMMARY_CHARS))),
    };
    format!("{name}: {}{time}: {what}", row.status)
}

/// A part of a file, and how to go on where it was cut.
pub(crate) fn file_part(mut part: FilePart) -> String {
    if part.is_cut() {
        if !part.text.ends_with('\n') {
            part.text.push('\n');
        }
        let (shown, total, next) = (
            part.next_offset - part.offset,
            part.total_bytes,
            part.next_offset,
        );
        let _ = write!(
            part.text,
            "[{shown} of {total} bytes; go on with offset={next}]"
        );
    }
    part.text
}

/// What stands for the result of a worker without a `result.txt`: one that died had nobody left to write it.
pub fn missing_result(metadata: &Metadata) -> &'static str {
    if has_died(metadata) {
        worker_runner::NO_RESULT
    } else {
        "(result.txt is missing: it could not be written, or was removed)"
    }
}

/// A duration in a sentence: `98ms`, `12s`, `2m 15s`, `1h 2m 3s`.
pub(crate) fn short_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60) {
        (0, 0) if seconds == 0 => format!("{}ms", duration.as_millis()),
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m {}s", seconds % 60),
        (hours, minutes) => format!("{hours}h {}m {}s", minutes % 60, seconds % 60),
    }
}

/// A text as a part of one line: what could break the line or the terminal is written as an escape.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '\n' | '\r' | '\t' => line.push(' '),
            it if it.is_control() || breaks_lines(it) => line.extend(it.escape_unicode()),
            it => line.push(it),
        }
    }
    line
}

/// Characters that are no controls and still end a line, or turn one around.
fn breaks_lines(it: char) -> bool {
    matches!(
        it,
        '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// At most `max` characters, the last one `…` where more were there.
pub(crate) fn cut(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use artifact_store::WorkerUsage;

    use super::{one_line, queued, short_duration, usage_line};

    #[test]
    fn the_usage_line_says_what_was_counted_and_no_more() {
        let usage = |json: &str| serde_json::from_str::<WorkerUsage>(json).unwrap();
        for (json, line) in [
            (
                r#"{"llm_calls":3,"tool_calls":2,"tool_failures":1,"total_tokens":4210,"cost_usd":0.0049}"#,
                "Usage: 3 LLM calls, 4,210 tokens, $0.0049; 2 tool calls (1 failed)\n",
            ),
            (
                r#"{"llm_calls":1,"tool_calls":1}"#,
                "Usage: 1 LLM call; 1 tool call\n",
            ),
            (
                r#"{"llm_calls":1,"llm_failures":1,"total_tokens":1,"cost_usd":0}"#,
                "Usage: 1 LLM call (1 failed), 1 token, $0\n",
            ),
            (
                r#"{"llm_calls":2000,"total_tokens":1234567,"cost_usd":12.345,"cost_unknown":{"a\u0007":1}}"#,
                "Usage: 2,000 LLM calls, 1,234,567 tokens, at least $12.35 (price of a\\u{7} unknown)\n",
            ),
            (
                r#"{"llm_calls":1,"total_tokens":9,"cost_unknown":{"qwen3":1}}"#,
                "Usage: 1 LLM call, 9 tokens, cost unknown (qwen3)\n",
            ),
            (r#"{"tool_calls":1}"#, "Usage: 1 tool call\n"),
            ("{}", ""),
        ] {
            assert_eq!(usage_line(&usage(json)), line, "{json}");
        }
    }

    #[test]
    fn a_queued_job_says_where_it_stands() {
        assert_eq!(
            queued(5, Some(3)),
            "Error: job 5 is queued (3rd in line). Call read_worker_result again later."
        );
    }

    #[test]
    fn durations_in_a_sentence_are_short() {
        for (millis, text) in [
            (98, "98ms"),
            (12_900, "12s"),
            (135_000, "2m 15s"),
            (3_723_000, "1h 2m 3s"),
        ] {
            assert_eq!(short_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn no_text_breaks_its_line() {
        assert_eq!(one_line("a\nb\x1b[31m"), "a b\\u{1b}[31m");
        assert_eq!(
            one_line("a\u{85}b\u{2028}c\u{202e}d"),
            "a\\u{85}b\\u{2028}c\\u{202e}d"
        );
        assert_eq!(one_line("👨\u{200d}👩"), "👨\u{200d}👩");
    }
}
