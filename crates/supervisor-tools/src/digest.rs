//! What a worker's `metrics.jsonl` comes to: counts, times, failures, tokens.

use std::{collections::BTreeMap, fmt::Write as _, io, time::Duration};

use artifact_store::{StoreError, WorkerReader};
use metrics_core::{DurationText, Event, LineContent, Usage};

use crate::texts::{cut, one_line};

/// Failures that are shown; the rest is counted.
const SHOWN_FAILURES: usize = 5;

#[derive(Debug, Default)]
pub(crate) struct Digest {
    llm: Group,
    tools: Group,
    by_phase: BTreeMap<String, Group>,
    by_tool: BTreeMap<String, Group>,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    failures: Vec<String>,
    unknown_events: u64,
    unusable_lines: u64,
}

#[derive(Debug, Default)]
struct Group {
    count: u64,
    failed: u64,
    total_ms: u64,
    max_ms: u64,
}

impl Digest {
    /// Reads the events that are in the file now.
    pub(crate) fn read(worker: &WorkerReader) -> Result<Self, StoreError> {
        let mut reader = worker.events()?;
        let mut digest = Self::default();
        let error = |source: io::Error| StoreError::Io {
            action: "read",
            path: worker.path().join(artifact_store::file_names::METRICS),
            source,
        };
        while let Some(line) = reader.next_line().map_err(error)? {
            match line.content {
                LineContent::Event(event) => digest.add(&event),
                LineContent::Unusable(_) => digest.unusable_lines += 1,
                _ => digest.unknown_events += 1,
            }
        }
        Ok(digest)
    }

    fn add(&mut self, event: &Event<'_>) {
        match event {
            Event::LlmCall(call) => {
                self.llm.add(event);
                self.by_phase
                    .entry(call.phase.to_string())
                    .or_default()
                    .add(event);
                self.add_usage(&call.usage);
                self.note_failure(call.model.as_str(), event);
            }
            Event::ToolCall(call) => {
                self.tools.add(event);
                self.by_tool
                    .entry(call.tool.to_string())
                    .or_default()
                    .add(event);
                self.note_failure(call.tool.as_str(), event);
            }
            _ => self.unknown_events += 1,
        }
    }

    fn add_usage(&mut self, usage: &Usage) {
        let add = |sum: &mut Option<u64>, more: Option<u64>| {
            if let Some(more) = more {
                *sum = Some(sum.unwrap_or(0).saturating_add(more));
            }
        };
        add(&mut self.prompt_tokens, usage.prompt_tokens);
        add(&mut self.completion_tokens, usage.completion_tokens);
        add(&mut self.total_tokens, usage.total_tokens);
    }

    fn note_failure(&mut self, name: &str, event: &Event<'_>) {
        if !event.outcome().is_success() && self.failures.len() < SHOWN_FAILURES {
            let error = event.outcome().error().unwrap_or("no reason given");
            let (name, error) = (one_line(name), one_line(&cut(error, 200)));
            let ms = event.time().duration_ms();
            self.failures
                .push(format!("- {name} after {ms}ms: {error}"));
        }
    }

    /// The digest as a supervisor reads it; `duration` is the worker's own.
    pub(crate) fn text(&self, duration: Option<Duration>) -> String {
        let mut text = String::new();
        let mut line = |it: String| {
            let _ = writeln!(text, "{it}");
        };
        if let Some(duration) = duration {
            line(format!("Execution time: {}", DurationText(duration)));
        }
        line(format!("LLM calls: {}", self.llm.text()));
        for (phase, group) in &self.by_phase {
            line(format!("- {}: {}", one_line(phase), group.text()));
        }
        line(format!("Tokens: {}", self.tokens_text()));
        line(format!("Tool calls: {}", self.tools.text()));
        for (tool, group) in &self.by_tool {
            line(format!("- {}: {}", one_line(tool), group.text()));
        }
        let failed = self.llm.failed + self.tools.failed;
        if failed > 0 {
            line(format!("Failures: {failed}"));
            self.failures.iter().cloned().for_each(&mut line);
            if failed > self.failures.len() as u64 {
                line(format!(
                    "- and {} more",
                    failed - self.failures.len() as u64
                ));
            }
        }
        if self.unknown_events > 0 {
            line(format!("Events of other kinds: {}", self.unknown_events));
        }
        if self.unusable_lines > 0 {
            line(format!(
                "Lines that could not be used: {}",
                self.unusable_lines
            ));
        }
        text
    }

    fn tokens_text(&self) -> String {
        let Some(total) = self.total_tokens else {
            return "none reported".to_owned();
        };
        match (self.prompt_tokens, self.completion_tokens) {
            (Some(prompt), Some(completion)) => {
                format!("{total} (prompt {prompt}, completion {completion})")
            }
            _ => total.to_string(),
        }
    }
}

impl Group {
    fn add(&mut self, event: &Event<'_>) {
        let ms = event.time().duration_ms();
        self.count += 1;
        self.failed += u64::from(!event.outcome().is_success());
        self.total_ms = self.total_ms.saturating_add(ms);
        self.max_ms = self.max_ms.max(ms);
    }

    fn text(&self) -> String {
        let mut text = self.count.to_string();
        if self.failed > 0 {
            let _ = write!(text, " ({} failed)", self.failed);
        }
        if self.count > 0 {
            let _ = write!(
                text,
                ", {}ms in all, slowest {}ms",
                self.total_ms, self.max_ms
            );
        }
        text
    }
}
