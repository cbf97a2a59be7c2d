//! A trace as a person reads it.

use std::{fmt, time::Duration};

use metrics_core::{DurationText, Timestamp};

use super::{Trace, TraceSpan, TraceWhat};
use crate::{
    texts::{cut, one_line, short_duration, worker_name},
    tools::SHOWN_PROBLEMS,
};

const MAX_NAME_CHARS: usize = 60;
const MAX_TASK_CHARS: usize = 80;
const MAX_ERROR_CHARS: usize = 200;

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: u64| if n == 1 { "" } else { "s" };
        let (workers, calls) = (self.workers, self.calls);
        write!(
            f,
            "Trace {}: {workers} worker{}, {calls} call{}",
            self.trace_id,
            plural(workers as u64),
            plural(calls),
        )?;
        if let Some(tokens) = self.total_tokens {
            write!(f, ", {tokens} tokens")?;
        }
        writeln!(f, "\n")?;
        let start = self.roots.first().map(|it| it.start_ts);
        for root in &self.roots {
            if let Some(parent) = root.parent_span_id {
                writeln!(f, "(below span {parent}, which is not in these files)")?;
            }
            root.write(f, start.unwrap_or(root.start_ts), "", "")?;
        }
        for problem in self.problems.iter().take(SHOWN_PROBLEMS) {
            writeln!(f, "Warning: {}", one_line(&cut(problem, 1000)))?;
        }
        if self.problems.len() > SHOWN_PROBLEMS {
            let more = self.problems.len() - SHOWN_PROBLEMS;
            writeln!(f, "Warning: and {more} more like these")?;
        }
        Ok(())
    }
}

impl TraceSpan {
    /// Its line, and those of all below it. `first` stands before its own line, `rest` before the others.
    fn write(
        &self,
        f: &mut fmt::Formatter<'_>,
        start: Timestamp,
        first: &str,
        rest: &str,
    ) -> fmt::Result {
        let micros = self.start_ts.unix_micros() - start.unix_micros();
        let after = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        writeln!(f, "{first}+{} {}", short_duration(after), self.line())?;
        for (n, child) in self.children.iter().enumerate() {
            let (branch, below) = if n + 1 == self.children.len() {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            child.write(
                f,
                start,
                &format!("{rest}{branch}"),
                &format!("{rest}{below}"),
            )?;
        }
        Ok(())
    }

    fn line(&self) -> String {
        let name = |it: &str| one_line(&cut(it, MAX_NAME_CHARS));
        let time = self.duration_us.map(Duration::from_micros);
        let time = time.map(|it| DurationText(it).to_string());
        let time = match (time, self.is_running) {
            (Some(time), true) => format!("running for {time}"),
            (Some(time), false) => time,
            (None, _) => "no time known".to_owned(),
        };
        let tokens = |it: &Option<u64>| it.map(|it| format!(", {it} tokens")).unwrap_or_default();
        let mut line = match &self.what {
            TraceWhat::Worker {
                worker_id,
                job_id,
                status,
                task,
                calls,
                total_tokens,
            } => {
                let name = worker_name(*job_id, worker_id);
                let status = if self.is_running {
                    String::new()
                } else {
                    format!("{status}, ")
                };
                let task = one_line(&cut(task, MAX_TASK_CHARS));
                let calls = format!("{calls} call{}", if *calls == 1 { "" } else { "s" });
                format!(
                    "{name}: {status}{time}, {calls}{}: {task}",
                    tokens(total_tokens)
                )
            }
            TraceWhat::LlmCall {
                model,
                phase,
                total_tokens,
            } => {
                let (model, phase) = (name(model), name(phase));
                format!("model {model} ({phase}): {time}{}", tokens(total_tokens))
            }
            TraceWhat::ToolCall { tool } => format!("tool {}: {time}", name(tool)),
            TraceWhat::Gap => format!("(no call: {time})"),
            TraceWhat::MoreCalls { count } => format!("({count} shorter calls: {time} in all)"),
        };
        if let Some(error) = &self.error {
            line.push_str(" — error: ");
            line.push_str(&one_line(&cut(error, MAX_ERROR_CHARS)));
        }
        line
    }
}
