//! The slowest calls, each with its place.

use std::{cmp::Reverse, collections::BinaryHeap, path::Path};

use metrics_core::Timestamp;

use crate::{Call, Cell, Column, Fold, Kind, Moment, Place, Seen, Table};

/// Keeps the slowest calls and no others, however many there are.
#[derive(Debug)]
pub struct Slowest {
    limit: usize,
    /// The shortest on top, which the next longer one replaces.
    kept: BinaryHeap<Reverse<Kept>>,
}

/// One of the slowest calls.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SlowCall {
    /// How long it took.
    pub duration_ms: u64,
    /// When it started: of calls that took equally long, those that started first are kept.
    pub start: Moment,
    /// Where its line stands.
    pub place: Place,
    /// What was called.
    pub kind: Kind,
    /// The model's or the tool's name.
    pub name: String,
    /// What a model call was for; empty for a tool call.
    pub phase: String,
    /// The worker that made it.
    pub worker: Option<String>,
    /// Whether it did what it should.
    pub success: bool,
    /// Why not, where it says so.
    pub error: Option<String>,
    /// Tokens of a model call.
    pub total_tokens: Option<u64>,
}

/// In the order of their keys.
#[derive(Debug)]
struct Kept(SlowCall);

/// Duration, start, place.
type Key<'a> = (u64, Reverse<i64>, Reverse<(&'a Path, u32, u64)>);

impl Kept {
    /// The same calls are kept, in the same order, however the work was shared.
    fn key(&self) -> Key<'_> {
        let Place { source, part, line } = &self.0.place;
        (
            self.0.duration_ms,
            Reverse(self.0.start.unix_micros()),
            Reverse((source.path.as_path(), *part, *line)),
        )
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Kept {}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Slowest {
    /// Keeps so many.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: BinaryHeap::new(),
        }
    }

    fn keep(&mut self, call: Kept) {
        self.kept.push(Reverse(call));
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    /// The calls, the slowest first.
    pub fn into_calls(self) -> impl Iterator<Item = SlowCall> {
        let kept = self.kept.into_sorted_vec().into_iter();
        kept.map(|it| it.0.0)
    }

    /// The same as a table.
    pub fn into_table(self, seen: &Seen) -> Table {
        let column = |name, head| Column { name, head };
        let columns = vec![
            column("duration_ms", "MS"),
            column("event", ""),
            column("model", "MODEL"),
            column("phase", "PHASE"),
            column("tool", "TOOL"),
            column("success", "SUCCESS"),
            column("error", "ERROR"),
            column("total_tokens", "TOKENS"),
            column("start_ts", "START"),
            column("worker", "WORKER"),
            column("file", ""),
            column("line", "LINE"),
        ];
        let rows = self.into_calls().map(|it| {
            let is_llm = it.kind == Kind::LlmCall;
            let start = Timestamp::from(it.start).to_string();
            let line = seen.line(&it.place);
            vec![
                Cell::Whole(it.duration_ms.into()),
                Cell::Text(it.kind.as_str().to_owned()),
                Cell::text(is_llm.then(|| it.name.clone())),
                Cell::text(is_llm.then_some(it.phase)),
                Cell::text((!is_llm).then_some(it.name)),
                Cell::Bool(it.success),
                Cell::text(it.error),
                Cell::whole(it.total_tokens),
                Cell::Text(start),
                Cell::text(it.worker),
                Cell::Text(it.place.source.path.display().to_string()),
                Cell::Whole(line.into()),
            ]
        });
        Table {
            rows: rows.collect(),
            columns,
        }
    }
}

impl Fold for Slowest {
    #[inline]
    fn call(&mut self, call: &Call<'_>) {
        let record = call.record;
        let shortest = self.kept.peek().map_or(0, |it| it.0.0.duration_ms);
        if self.limit == 0 || (self.kept.len() == self.limit && record.duration_ms < shortest) {
            return;
        }
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        self.keep(Kept(SlowCall {
            duration_ms: record.duration_ms,
            start: record.start,
            place: call.place(),
            kind: record.kind,
            name: text(record.name),
            phase: text(record.phase),
            worker: call.worker().map(text),
            success: record.success,
            error: record.error.map(text),
            total_tokens: record.usage.total_tokens,
        }));
    }

    fn merge(&mut self, other: Self) {
        for Reverse(call) in other.kept {
            self.keep(call);
        }
    }
}
