//! The model as a supervisor: a worker for each part of the goal, and an answer made of what they answered.

mod parts;

#[cfg(test)]
mod tests;

use std::{cmp::Ordering, fmt::Write as _};

use serde_json::json;
use worker_runner::{ChatRequest, Message, Role, ToolDefinition};

use self::parts::{Part, Parts};
use crate::{
    model::asks_for,
    plan::MAX_STEPS,
    progress::{Progress, State},
    text::cut,
};

const SPAWN: &str = "spawn_worker";
const METRICS: &str = "worker_metrics";
/// A wait as long as any may be: the workers have limits of their own, and so has the supervisor.
const WAIT_SECONDS: u32 = 604_800;
/// What the metrics of the slowest worker may take in the answer.
const METRICS_TOKENS: u32 = 300;
/// The most characters of a worker's answer that the answer repeats.
const OUTPUT_CHARS: usize = 4000;
/// The most characters of a part that the answer repeats.
const TASK_CHARS: usize = 200;

/// Whether who has these tools hands work to others.
pub(crate) fn is_supervisor(tools: &[ToolDefinition]) -> bool {
    tools.iter().any(|it| it.name == SPAWN)
}

/// The next message of a supervisor with this goal.
pub(crate) fn reply(goal: &str, later: &[Message], request: ChatRequest<'_>) -> Message {
    let Parts { parts, more } = Parts::of(goal);
    let spawned = Progress::new(parts.iter().map(spawn), later, request.tools);
    let tool_calls = spawned.next_requests(request.messages);
    if !tool_calls.is_empty() {
        return asks_for(tool_calls);
    }
    let outcomes: Vec<_> = spawned.states().iter().map(Outcome::of).collect();
    let slowest = outcomes.iter().filter_map(|it| it.worker.as_ref());
    // Of two that took the same, the first.
    let slowest = slowest.rev().max_by(|a, b| a.slower_than(b));
    let metrics = slowest.map(|it| {
        let arguments = json!({"job_id": it.job_id, "max_tokens": METRICS_TOKENS});
        (Some((METRICS, arguments.to_string())), 0)
    });
    let measured = Progress::new(metrics.into_iter(), later, request.tools);
    let tool_calls = measured.next_requests(request.messages);
    if !tool_calls.is_empty() {
        return asks_for(tool_calls);
    }
    let mut answer = answer(&parts, &outcomes);
    if more {
        let _ = write!(
            answer,
            "\n\nI hand out at most {MAX_STEPS} tasks; the rest of the goal is left out."
        );
    }
    if let [State::Asked { output: Some(text) }] = measured.states() {
        let _ = write!(
            answer,
            "\n\nWhere the slowest worker's time went:\n\n{text}"
        );
    }
    Message::text(Role::Assistant, answer)
}

/// The call that hands a part to a worker. It is waited for within the call, so that the parts of a turn run side by side
/// and nobody has to ask again.
fn spawn(part: &Part<'_>) -> (Option<(&'static str, String)>, usize) {
    let arguments = json!({"task": part.task, "wait": true, "wait_seconds": WAIT_SECONDS});
    (Some((SPAWN, arguments.to_string())), part.turn)
}

/// What became of a part.
struct Outcome<'a> {
    /// What was answered, as it came.
    text: &'a str,
    /// What stands in the head of a worker's result; `None` if the answer is no result.
    worker: Option<Head<'a>>,
}

/// The head of a result.
struct Head<'a> {
    job_id: u64,
    duration_ms: f64,
    /// `None` if it succeeded.
    status: Option<&'a str>,
}

impl<'a> Outcome<'a> {
    fn of(state: &State<'a>) -> Self {
        let text = match state {
            State::Asked { output } => output.unwrap_or("Error: no answer."),
            _ => "Error: not handed out.",
        };
        Self {
            text,
            worker: Head::read(text),
        }
    }

    /// How it ended, if not well.
    fn failure(&self) -> Option<&'a str> {
        match &self.worker {
            Some(head) => head.status,
            None => Some("no result"),
        }
    }
}

impl<'a> Head<'a> {
    /// Reads the head as any model would have to, out of the text.
    fn read(text: &'a str) -> Option<Self> {
        let rest = text.strip_prefix("Result from worker job ")?;
        let (job_id, rest) = rest.split_once(' ')?;
        let (_, rest) = rest.split_once("\n\n")?;
        let (head, _) = rest.split_once("\n\n").unwrap_or((rest, ""));
        let fact = |key| head.lines().find_map(|it| it.strip_prefix(key));
        let duration = fact("Execution time: ").and_then(|it| it.split_once("ms"));
        Some(Self {
            job_id: job_id.parse().ok()?,
            duration_ms: duration.and_then(|(ms, _)| ms.parse().ok()).unwrap_or(0.0),
            status: fact("Status: "),
        })
    }

    fn slower_than(&self, other: &Self) -> Ordering {
        self.duration_ms.total_cmp(&other.duration_ms)
    }
}

/// How many succeeded and which did not; then each part with all that its worker answered.
fn answer(parts: &[Part<'_>], outcomes: &[Outcome<'_>]) -> String {
    let failures = outcomes.iter().zip(1..);
    let failures: Vec<_> = failures
        .filter_map(|(it, n)| Some(format!("task {n} ({})", it.failure()?)))
        .collect();
    let (all, good) = (parts.len(), parts.len() - failures.len());
    let tasks = if all == 1 { "task" } else { "tasks" };
    let mut answer = format!("{good} of {all} {tasks} succeeded.");
    if !failures.is_empty() {
        let _ = write!(answer, " Not: {}.", failures.join(", "));
    }
    for ((part, outcome), n) in parts.iter().zip(outcomes).zip(1..) {
        let (task, text) = (cut(part.task, TASK_CHARS), cut(outcome.text, OUTPUT_CHARS));
        let _ = write!(answer, "\n\nTask {n}: {task}\n{}", text.trim_end());
    }
    answer
}
