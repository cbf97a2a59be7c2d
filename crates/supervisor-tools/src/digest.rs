//! What a worker's `metrics.jsonl` comes to, within a budget of tokens: counts, times, the slowest calls, failures, tokens.
//!
//! The file is read line by line and nothing of it is kept but sums and a few of its calls, however long it is.

mod page;

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write as _, time::Duration};

use artifact_store::{Metadata, Status, StoreError, WorkerReader};
use metrics_core::{DurationText, Event, Line, LineContent, Timestamp, Usage};
use model_prices::{CostSum, PriceTable};

use self::page::{Page, Section};
use crate::{
    Activity,
    coverage::Coverage,
    events::{event_end, event_micros, for_each_line},
    texts::{self, call_in_flight, cut, one_line, short_duration},
};

/// Kinds of failures that are shown, the first that came; the rest is counted.
const SHOWN_FAILURES: usize = 5;
/// Kinds of failures that are kept apart.
const MAX_FAILURES: usize = 100;
/// Unusable lines that are shown.
const SHOWN_FAULTS: usize = 5;
/// Of single calls, the slowest that are shown.
const SHOWN_SLOWEST: usize = 5;
/// Calls in flight that are shown; the rest is counted.
const SHOWN_IN_FLIGHT: usize = 10;
/// Phases and tools that are shown, those first that took longest; the rest is counted.
const SHOWN_GROUPS: usize = 20;
/// Groups that are kept apart; what comes then counts as [`OTHER`]. A model that makes up names must not fill the memory.
const MAX_GROUPS: usize = 1000;
const OTHER: &str = "other";
const MAX_NAME_CHARS: usize = 60;
const MAX_ERROR_CHARS: usize = 200;

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
    /// When the worker began and ended, as far as it is known.
    started_at: Option<Timestamp>,
    finished_at: Option<Timestamp>,
    /// Of that time alone: the call that sums the worker up comes after its end.
    coverage: Coverage,
    /// The slowest first; of two that took the same, the earlier.
    slowest: Vec<SlowCall>,
    /// The first of each kind; those that differ only in their time are one kind.
    failures: Vec<Failure>,
    unknown_events: u64,
    unusable_lines: u64,
    /// The first unusable lines, with number and reason.
    faults: Vec<String>,
}

#[derive(Debug)]
struct SlowCall {
    us: u64,
    line: u64,
    start: Timestamp,
    name: String,
}

#[derive(Debug)]
struct Failure {
    name: String,
    error: String,
    us: u64,
    count: u64,
}

#[derive(Debug, Default)]
struct Group {
    count: u64,
    failed: u64,
    total_us: u64,
    max_us: u64,
}

impl Digest {
    fn new(metadata: &Metadata, prices: PriceTable) -> Self {
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
            started_at: metadata.started_at,
            finished_at: metadata.finished_at,
            coverage: Coverage::default(),
            slowest: Vec::new(),
            failures: Vec::new(),
            unknown_events: 0,
            unusable_lines: 0,
            faults: Vec::new(),
        }
    }

    /// Reads the events that are in the file now.
    pub(crate) fn read(
        metadata: &Metadata,
        worker: &WorkerReader,
        prices: PriceTable,
    ) -> Result<Self, StoreError> {
        let mut digest = Self::new(metadata, prices);
        let ended = metadata.status.is_final();
        for_each_line(worker, ended, |line| digest.add_line(line))?;
        Ok(digest)
    }

    fn add_line(&mut self, line: &Line<'_>) {
        match &line.content {
            LineContent::Event(event) => self.add(event, line.number),
            LineContent::Unusable(fault) => {
                self.unusable_lines += 1;
                if self.faults.len() < SHOWN_FAULTS {
                    let fault = one_line(&fault.to_string());
                    self.faults.push(format!("- line {}: {fault}", line.number));
                }
            }
            _ => self.unknown_events += 1,
        }
    }

    fn add(&mut self, event: &Event<'_>, line: u64) {
        let (start, end) = (event.time().start_ts(), event_end(event.time()));
        self.coverage.add(
            self.started_at.map_or(start, |it| start.max(it)),
            self.finished_at.map_or(end, |it| end.min(it)),
        );
        match event {
            Event::LlmCall(call) => {
                self.llm.add(event);
                group(&mut self.by_phase, call.phase.as_str()).add(event);
                self.add_usage(&call.usage);
                self.cost.add_call(&self.prices, call);
                self.note_slowness(call.model.as_str(), event, line);
                self.note_failure(call.model.as_str(), event);
            }
            Event::ToolCall(call) => {
                self.tools.add(event);
                group(&mut self.by_tool, call.tool.as_str()).add(event);
                self.note_slowness(call.tool.as_str(), event, line);
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

    fn note_slowness(&mut self, name: &str, event: &Event<'_>, line: u64) {
        let us = event_micros(event.time());
        let place = self.slowest.partition_point(|it| it.us >= us);
        if place < SHOWN_SLOWEST {
            let call = SlowCall {
                us,
                line,
                start: event.time().start_ts(),
                name: one_line(&cut(name, MAX_NAME_CHARS)),
            };
            self.slowest.insert(place, call);
            self.slowest.truncate(SHOWN_SLOWEST);
        }
    }

    fn note_failure(&mut self, name: &str, event: &Event<'_>) {
        if event.outcome().is_success() {
            return;
        }
        let error = event.outcome().error().unwrap_or("no reason given");
        let name = one_line(&cut(name, MAX_NAME_CHARS));
        let error = one_line(&cut(error, MAX_ERROR_CHARS));
        let is_same = |it: &&mut Failure| it.name == name && it.error == error;
        if let Some(known) = self.failures.iter_mut().find(is_same) {
            known.count += 1;
        } else if self.failures.len() < MAX_FAILURES {
            let us = event_micros(event.time());
            self.failures.push(Failure {
                name,
                error,
                us,
                count: 1,
            });
        }
    }

    fn failures(&self) -> Section {
        let failed = self.llm.failed + self.tools.failed;
        let head = (failed > 0).then(|| format!("Failures: {failed}"));
        let entries = self.failures.iter().take(SHOWN_FAILURES).map(|it| {
            let Failure { name, error, .. } = it;
            let after = DurationText(Duration::from_micros(it.us));
            match it.count {
                1 => format!("- {name} after {after}: {error}"),
                n => format!("- {name}, {n} times, first after {after}: {error}"),
            }
        });
        Section::list(head, entries.collect(), self.failures.len() as u64)
    }

    /// The digest as a supervisor reads it, in at most `max_tokens`: what says most of the worker comes first, and a last
    /// line tells where something was left out. `activity` is of a worker that runs.
    pub(crate) fn text(
        &self,
        metadata: &Metadata,
        job_id: Option<u64>,
        activity: Option<&Activity>,
        max_tokens: usize,
    ) -> String {
        let mut page = Page::new(title(metadata, job_id, max_tokens));
        // In the order in which they are shown; the number says which may be left out for which, the lowest never.
        page.add(0, Section::line(time_line(metadata, activity)));
        page.add(1, Section::line(status_line(metadata)));
        page.add(1, in_flight(activity));
        // A worker without calls of models has more to say of its tools.
        let llm_rank = if self.llm.count == 0 { 5 } else { 2 };
        let llm_calls = format!("LLM calls: {}", self.llm.text());
        page.add(llm_rank, grouped(llm_calls, &self.by_phase));
        let tokens = format!("Tokens: {}", self.tokens_text());
        page.add(llm_rank, Section::line(Some(tokens)));
        page.add(4, Section::line(self.cost_line()));
        let tool_calls = format!("Tool calls: {}", self.tools.text());
        page.add(2, grouped(tool_calls, &self.by_tool));
        page.add(4, Section::line(self.time_outside(metadata)));
        page.add(4, self.slowest(metadata));
        page.add(3, self.failures());
        let unknown = (self.unknown_events > 0)
            .then(|| format!("Events of other kinds: {}", self.unknown_events));
        page.add(6, Section::line(unknown));
        let unusable = (self.unusable_lines > 0)
            .then(|| format!("Lines that could not be used: {}", self.unusable_lines));
        let faults = self.faults.clone();
        let n_faults = faults.len() as u64; // The head has the count of all.
        page.add(5, Section::list(unusable, faults, n_faults));
        let lost = texts::loss_line(metadata);
        let lost = (!lost.is_empty()).then(|| lost.trim_end().to_owned());
        page.add(1, Section::line(lost));
        page.text(max_tokens)
    }

    /// What the agent did itself, or waited for without telling.
    fn time_outside(&self, metadata: &Metadata) -> Option<String> {
        let duration = texts::duration(metadata)?;
        if self.llm.count + self.tools.count == 0 {
            return None;
        }
        let covered = Duration::from_micros(self.coverage.covered_us());
        let outside = duration.checked_sub(covered).filter(|it| !it.is_zero())?;
        Some(format!("Time outside of calls: {}", DurationText(outside)))
    }

    /// Only where the groups do not say the same.
    fn slowest(&self, metadata: &Metadata) -> Section {
        let n_calls = self.llm.count + self.tools.count;
        if n_calls < 2 {
            return Section::line(None);
        }
        let entries = self.slowest.iter().map(|it| {
            let took = DurationText(Duration::from_micros(it.us));
            let after = metadata.started_at.map(|started_at| {
                let micros = it.start.unix_micros() - started_at.unix_micros();
                let after = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
                format!(", {} after the start", short_duration(after))
            });
            let after = after.unwrap_or_default();
            format!("- line {}: {} {took}{after}", it.line, it.name)
        });
        let entries: Vec<_> = entries.collect();
        let n_entries = entries.len() as u64;
        Section::entries("Slowest calls:", entries, n_entries)
    }

    fn cost_line(&self) -> Option<String> {
        let cost = texts::cost(&self.cost);
        let cost = cost.strip_prefix("cost ").unwrap_or(&cost);
        (!self.cost.is_empty()).then(|| format!("Cost: {cost}"))
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

fn group<'a>(groups: &'a mut BTreeMap<String, Group>, name: &str) -> &'a mut Group {
    let mut name = cut(name, MAX_NAME_CHARS);
    if groups.len() >= MAX_GROUPS && !groups.contains_key(&name) {
        OTHER.clone_into(&mut name);
    }
    groups.entry(name).or_default()
}

fn grouped(head: String, groups: &BTreeMap<String, Group>) -> Section {
    let mut slowest_first: Vec<_> = groups.iter().collect();
    slowest_first.sort_by_key(|(_, group)| Reverse(group.total_us));
    let shown = slowest_first.iter().take(SHOWN_GROUPS);
    let entries = shown.map(|(name, group)| format!("- {}: {}", one_line(name), group.text()));
    Section::list(Some(head), entries.collect(), groups.len() as u64)
}

/// The usual title, or where that would take a quarter of the budget a shorter one: a foreign directory may have any name.
fn title(metadata: &Metadata, job_id: Option<u64>, max_tokens: usize) -> String {
    let name = texts::worker_name(job_id, &metadata.worker_id);
    let title = format!("Metrics of {name}:");
    if crate::tokens::at_most(&title) * 4 <= max_tokens {
        return title;
    }
    match job_id {
        Some(id) => format!("Metrics of job {id}:"),
        None => "Metrics:".to_owned(),
    }
}

fn time_line(metadata: &Metadata, activity: Option<&Activity>) -> Option<String> {
    if let Some(duration) = texts::duration(metadata) {
        return Some(format!("Execution time: {}", DurationText(duration)));
    }
    let activity = activity?;
    Some(format!("Running for {}", DurationText(activity.elapsed)))
}

fn status_line(metadata: &Metadata) -> Option<String> {
    let status = metadata.status;
    let is_told = status.is_final() && status != Status::Success;
    is_told.then(|| format!("Status: {status}"))
}

fn in_flight(activity: Option<&Activity>) -> Section {
    let Some(activity) = activity else {
        return Section::line(None);
    };
    let n_calls = activity.in_flight.len();
    let shown = activity.in_flight.iter().take(SHOWN_IN_FLIGHT);
    let entries = shown.map(|it| format!("- {}", call_in_flight(it)));
    let head = format!("Calls in flight: {n_calls}");
    Section::list(Some(head), entries.collect(), n_calls as u64)
}

impl Group {
    fn add(&mut self, event: &Event<'_>) {
        let us = event_micros(event.time());
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
