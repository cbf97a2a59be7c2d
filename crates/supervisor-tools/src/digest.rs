//! What a worker's `metrics.jsonl` comes to, within a budget of tokens: counts, times, the slowest calls, failures, tokens.
//!
//! The file is read line by line and added up by `metrics-analysis`, so that `triscope report` says the same of it. Nothing is
//! kept but sums and a few calls, however long it is.

mod page;

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write as _, time::Duration};

use artifact_store::{Metadata, Status, StoreError, WorkerReader, file_names};
use metrics_analysis::{Call, Failures, Feed, Fold as _, Kind, Record, Seen, Slowest, Stats};
use metrics_core::{DurationText, Timestamp};
use model_prices::PriceTable;

use self::page::{Page, Section};
use crate::{
    Activity,
    coverage::Coverage,
    events::{after, call_micros, for_each_line},
    texts::{self, call_in_flight, cut, one_line, short_duration},
};

/// Kinds of failures that are shown, the most frequent; the rest is counted.
const SHOWN_FAILURES: usize = 5;
/// Unusable lines that are shown.
const SHOWN_FAULTS: usize = 5;
/// Of single calls, the slowest that are shown.
const SHOWN_SLOWEST: usize = 5;
/// Calls in flight that are shown; the rest is counted.
const SHOWN_IN_FLIGHT: usize = 10;
/// Phases and tools that are shown, those first that took longest; the rest is counted.
const SHOWN_GROUPS: usize = 20;
/// Groups that are kept apart; what comes then counts as [`OTHER`]. A model that makes up names must not fill the memory: the
/// percentiles of a group may take 100 KiB.
const MAX_GROUPS: usize = 200;
const OTHER: &str = "other";
/// From so many calls on a group has a 95th percentile that is not just its slowest call.
const MIN_FOR_P95: u64 = 20;
const MAX_NAME_CHARS: usize = 60;
const MAX_ERROR_CHARS: usize = 200;

#[derive(Debug)]
pub(crate) struct Digest {
    llm: Group,
    tools: Group,
    by_phase: BTreeMap<String, Group>,
    by_tool: BTreeMap<String, Group>,
    slowest: Slowest,
    failures: Failures,
    /// Between the worker's beginning and end, as far as these are known: the call that sums the worker up comes after its end.
    coverage: Coverage,
    seen: Seen,
}

#[derive(Debug, Default)]
struct Group {
    stats: Stats,
    /// The time of all. The sum in `stats` is of whole milliseconds, which a thousand calls of 0.4 ms do not have.
    total_us: u64,
}

impl Digest {
    /// Reads the events that are in the file now.
    pub(crate) fn read(
        metadata: &Metadata,
        worker: &WorkerReader,
        prices: &PriceTable,
    ) -> Result<Self, StoreError> {
        let mut digest = Self {
            llm: Group::default(),
            tools: Group::default(),
            by_phase: BTreeMap::new(),
            by_tool: BTreeMap::new(),
            slowest: Slowest::new(SHOWN_SLOWEST),
            failures: Failures::with_limit(MAX_GROUPS),
            coverage: Coverage::default(),
            seen: Seen::default(),
        };
        let mut feed = Feed::new(worker.path().join(file_names::METRICS), Some(prices));
        for_each_line(worker, metadata.status.is_final(), |line| {
            feed.line(line, |call| digest.add(call, metadata));
        })?;
        digest.seen = feed.into_seen();
        Ok(digest)
    }

    fn add(&mut self, call: &Call<'_>, metadata: &Metadata) {
        let record = call.record;
        let start = Timestamp::from(record.start);
        let us = call_micros(start, record.end.into(), record.duration_ms);
        let end = after(start, us);
        self.coverage.add(
            metadata.started_at.map_or(start, |it| start.max(it)),
            metadata.finished_at.map_or(end, |it| end.min(it)),
        );
        let (all, groups, name) = match record.kind {
            Kind::LlmCall => (&mut self.llm, &mut self.by_phase, record.phase),
            Kind::ToolCall => (&mut self.tools, &mut self.by_tool, record.name),
        };
        all.add(record, us);
        group(groups, &String::from_utf8_lossy(name)).add(record, us);
        if let Some(cost) = call.cost() {
            all.stats.add_cost(record.name, cost);
        }
        self.slowest.call(call);
        self.failures.call(call);
    }

    /// The digest as a supervisor reads it, in at most `max_tokens`: what says most of the worker comes first, and a last
    /// line tells where something was left out. `activity` is of a worker that runs.
    pub(crate) fn text(
        self,
        metadata: &Metadata,
        job_id: Option<u64>,
        activity: Option<&Activity>,
        max_tokens: usize,
    ) -> String {
        let failed = self.llm.stats.failures + self.tools.stats.failures;
        let mut page = Page::new(title(metadata, job_id, max_tokens));
        // In the order in which they are shown; the number says which may be left out for which, the lowest never.
        page.add(0, Section::line(time_line(metadata, activity)));
        page.add(1, Section::line(status_line(metadata)));
        page.add(1, in_flight(activity));
        // A worker without calls of models has more to say of its tools.
        let llm_rank = if self.llm.stats.count() == 0 { 5 } else { 2 };
        let llm_calls = format!("LLM calls: {}", self.llm.text());
        page.add(llm_rank, grouped(llm_calls, &self.by_phase));
        let tokens = format!("Tokens: {}", self.tokens_text());
        page.add(llm_rank, Section::line(Some(tokens)));
        page.add(4, Section::line(self.cost_line()));
        let tool_calls = format!("Tool calls: {}", self.tools.text());
        page.add(2, grouped(tool_calls, &self.by_tool));
        page.add(4, Section::line(self.time_outside(metadata)));
        page.add(4, slowest(self.slowest, &self.seen, metadata));
        page.add(3, failures(failed, self.failures));
        let unknown =
            (self.seen.others > 0).then(|| format!("Events of other kinds: {}", self.seen.others));
        page.add(6, Section::line(unknown));
        page.add(5, unusable(&self.seen));
        let lost = texts::loss_line(metadata);
        let lost = (!lost.is_empty()).then(|| lost.trim_end().to_owned());
        page.add(1, Section::line(lost));
        page.text(max_tokens)
    }

    /// What the agent did itself, or waited for without telling.
    fn time_outside(&self, metadata: &Metadata) -> Option<String> {
        let duration = texts::duration(metadata)?;
        if self.seen.calls == 0 {
            return None;
        }
        let covered = Duration::from_micros(self.coverage.covered_us());
        let outside = duration.checked_sub(covered).filter(|it| !it.is_zero())?;
        Some(format!("Time outside of calls: {}", DurationText(outside)))
    }

    fn cost_line(&self) -> Option<String> {
        let sum = &self.llm.stats.cost;
        let cost = texts::cost(sum);
        let cost = cost.strip_prefix("cost ").unwrap_or(&cost);
        (!sum.is_empty()).then(|| format!("Cost: {cost}"))
    }

    fn tokens_text(&self) -> String {
        let tokens = &self.llm.stats.tokens;
        let Some(total) = tokens.total_tokens else {
            return "none reported".to_owned();
        };
        match (tokens.prompt_tokens, tokens.completion_tokens) {
            (Some(prompt), Some(completion)) => {
                format!("{total} (prompt {prompt}, completion {completion})")
            }
            _ => total.to_string(),
        }
    }
}

/// Only where the groups do not say the same, and of calls that took any time worth telling.
fn slowest(slowest: Slowest, seen: &Seen, metadata: &Metadata) -> Section {
    if seen.calls < 2 {
        return Section::line(None);
    }
    let calls = slowest.into_calls().filter(|it| it.duration_ms > 0);
    let entries = calls.map(|it| {
        let line = seen.line(&it.place);
        let name = one_line(&cut(&it.name, MAX_NAME_CHARS));
        let after = metadata.started_at.map(|started_at| {
            let micros = it.start.unix_micros() - started_at.unix_micros();
            let after = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
            format!(", {} after the start", short_duration(after))
        });
        let after = after.unwrap_or_default();
        format!("- line {line}: {name} {}{after}", millis(it.duration_ms))
    });
    Section::entries("Slowest calls:", entries.collect())
}

/// By kinds: those that differ only in numbers, ids and addresses are one, shown by its last.
fn failures(failed: u64, failures: Failures) -> Section {
    let groups = failures.into_groups();
    let entries = groups.iter().take(SHOWN_FAILURES).map(|it| {
        let name = one_line(&cut(&it.name, MAX_NAME_CHARS));
        let error = it.last.error.as_ref().unwrap_or(&it.error);
        let error = one_line(&cut(error, MAX_ERROR_CHARS));
        let took = u64::try_from(it.total_ms).unwrap_or(u64::MAX);
        match (it.count, took) {
            (1, 0) => format!("- {name}: {error}"),
            (1, took) => format!("- {name} after {}: {error}", millis(took)),
            (n, 0) => format!("- {name}, {n} times, last: {error}"),
            (n, took) => format!(
                "- {name}, {n} times, {} in all, last: {error}",
                millis(took)
            ),
        }
    });
    let head = (failed > 0).then(|| format!("Failures: {failed}"));
    Section::list(head, entries.collect(), groups.len() as u64)
}

fn unusable(seen: &Seen) -> Section {
    let head =
        (seen.unusable > 0).then(|| format!("Lines that could not be used: {}", seen.unusable));
    let faults = seen.problems.iter().take(SHOWN_FAULTS).map(|it| {
        let line = it.line.unwrap_or(0);
        format!("- line {line}: {}", one_line(&it.reason))
    });
    let faults: Vec<_> = faults.collect();
    let n_faults = faults.len() as u64; // The head has the count of all.
    Section::list(head, faults, n_faults)
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
    fn add(&mut self, record: &Record<'_>, us: u64) {
        self.stats.add(record);
        self.total_us = self.total_us.saturating_add(us);
    }

    fn text(&self) -> String {
        let Self { stats, total_us } = self;
        let mut text = stats.count().to_string();
        if stats.failures > 0 {
            let _ = write!(text, " ({} failed)", stats.failures);
        }
        let Some(max) = stats.duration_ms.max() else {
            return text;
        };
        let total = DurationText(Duration::from_micros(*total_us));
        let _ = write!(text, ", {total} in all");
        match max {
            0 if *total_us < 1000 => {}
            0 => text.push_str(", each under 1ms"),
            max => {
                let _ = write!(text, ", slowest {}", millis(max));
            }
        }
        let p95 = stats.duration_ms.percentile(950).filter(|it| *it < max);
        if let Some(p95) = p95.filter(|_| stats.count() >= MIN_FOR_P95) {
            let _ = write!(text, ", p95 {}", millis(p95));
        }
        text
    }
}

/// A call's time in whole milliseconds, as analysis keeps it.
fn millis(ms: u64) -> String {
    match ms {
        0 => "under 1ms".to_owned(),
        ms => DurationText(Duration::from_millis(ms)).to_string(),
    }
}
