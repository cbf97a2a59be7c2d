//! What a worker's `metrics.jsonl` comes to: counts, times, failures, tokens.

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write as _, io, time::Duration};

use artifact_store::{StoreError, WorkerReader};
use metrics_core::{CallTime, DurationText, Event, Line, LineContent, Usage};
use model_prices::{CostSum, PriceTable};

use crate::texts::{self, cut, one_line};

/// Failures that are shown; the rest is counted.
const SHOWN_FAILURES: usize = 5;
/// Phases and tools that are shown, those first that took longest; the rest is counted.
const SHOWN_GROUPS: usize = 20;
/// Groups that are kept apart; what comes then counts as [`OTHER`]. A model that makes up names must not fill the memory.
const MAX_GROUPS: usize = 1000;
const OTHER: &str = "other";
const MAX_NAME_CHARS: usize = 60;

#[derive(Debug)]
pub(crate) struct Digest {
    llm: Group,
    tools: Group,
    by_phase: BTreeMap<String, Group>,
    by_tool: BTreeMap<String, Group>,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prices: PriceTable,
    cost: CostSum,
    failures: Vec<String>,
    unknown_events: u64,
    unusable_lines: u64,
    /// The first unusable lines, with number and reason.
    faults: Vec<String>,
}

#[derive(Debug, Default)]
struct Group {
    count: u64,
    failed: u64,
    total_us: u64,
    max_us: u64,
}

impl Digest {
    fn new(prices: PriceTable) -> Self {
        Self {
            llm: Group::default(),
            tools: Group::default(),
            by_phase: BTreeMap::new(),
            by_tool: BTreeMap::new(),
            prompt_tokens: None,
            completion_tokens: None,
            total_tokens: None,
            prices,
            cost: CostSum::default(),
            failures: Vec::new(),
            unknown_events: 0,
            unusable_lines: 0,
            faults: Vec::new(),
        }
    }

    /// Reads the events that are in the file now. What stands behind the last line end counts once the worker has
    /// `ended`; until then it is a line being written.
    pub(crate) fn read(
        worker: &WorkerReader,
        ended: bool,
        prices: PriceTable,
    ) -> Result<Self, StoreError> {
        let mut reader = worker.events()?;
        let mut digest = Self::new(prices);
        let error = |source: io::Error| StoreError::Io {
            action: "read",
            path: worker.path().join(artifact_store::file_names::METRICS),
            source,
        };
        while let Some(line) = reader.next_line().map_err(error)? {
            digest.add_line(&line);
        }
        if ended && let Some(line) = reader.unfinished() {
            digest.add_line(&line);
        }
        Ok(digest)
    }

    fn add_line(&mut self, line: &Line<'_>) {
        match &line.content {
            LineContent::Event(event) => self.add(event),
            LineContent::Unusable(fault) => {
                self.unusable_lines += 1;
                if self.faults.len() < SHOWN_FAILURES {
                    let fault = one_line(&fault.to_string());
                    self.faults.push(format!("- line {}: {fault}", line.number));
                }
            }
            _ => self.unknown_events += 1,
        }
    }

    fn add(&mut self, event: &Event<'_>) {
        match event {
            Event::LlmCall(call) => {
                self.llm.add(event);
                group(&mut self.by_phase, call.phase.as_str()).add(event);
                self.add_usage(&call.usage);
                self.cost.add_call(&self.prices, call);
                self.note_failure(call.model.as_str(), event);
            }
            Event::ToolCall(call) => {
                self.tools.add(event);
                group(&mut self.by_tool, call.tool.as_str()).add(event);
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
            let name = one_line(&cut(name, MAX_NAME_CHARS));
            let error = one_line(&cut(error, 200));
            let after = DurationText(Duration::from_micros(micros(event.time())));
            self.failures
                .push(format!("- {name} after {after}: {error}"));
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
        list(&self.by_phase, &mut line);
        line(format!("Tokens: {}", self.tokens_text()));
        if !self.cost.is_empty() {
            let cost = texts::cost(&self.cost);
            let cost = cost.strip_prefix("cost ").unwrap_or(&cost);
            line(format!("Cost: {cost}"));
        }
        line(format!("Tool calls: {}", self.tools.text()));
        list(&self.by_tool, &mut line);
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
            self.faults.iter().cloned().for_each(&mut line);
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

/// The duration as exactly as the line tells it: the stamps count where they agree with `duration_ms`.
fn micros(time: &CallTime) -> u64 {
    let stamps = time.end_ts().unix_micros() - time.start_ts().unix_micros();
    match u64::try_from(stamps) {
        Ok(stamps) if stamps / 1000 == time.duration_ms() => stamps,
        _ => time.duration_ms().saturating_mul(1000),
    }
}

fn group<'a>(groups: &'a mut BTreeMap<String, Group>, name: &str) -> &'a mut Group {
    let mut name = cut(name, MAX_NAME_CHARS);
    if groups.len() >= MAX_GROUPS && !groups.contains_key(&name) {
        OTHER.clone_into(&mut name);
    }
    groups.entry(name).or_default()
}

fn list(groups: &BTreeMap<String, Group>, mut line: impl FnMut(String)) {
    let mut slowest_first: Vec<_> = groups.iter().collect();
    slowest_first.sort_by_key(|(_, group)| Reverse(group.total_us));
    for (name, group) in slowest_first.iter().take(SHOWN_GROUPS) {
        line(format!("- {}: {}", one_line(name), group.text()));
    }
    if groups.len() > SHOWN_GROUPS {
        line(format!("- and {} more", groups.len() - SHOWN_GROUPS));
    }
}

impl Group {
    fn add(&mut self, event: &Event<'_>) {
        let us = micros(event.time());
        self.count += 1;
        self.failed += u64::from(!event.outcome().is_success());
        self.total_us = self.total_us.saturating_add(us);
        self.max_us = self.max_us.max(us);
    }

    fn text(&self) -> String {
        let mut text = self.count.to_string();
        if self.failed > 0 {
            let _ = write!(text, " ({} failed)", self.failed);
        }
        if self.count > 0 {
            let _ = write!(
                text,
                ", {} in all, slowest {}",
                DurationText(Duration::from_micros(self.total_us)),
                DurationText(Duration::from_micros(self.max_us))
            );
        }
        text
    }
}
