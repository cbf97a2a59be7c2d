//! The slowest calls, each with its place.

use std::{cmp::Reverse, path::Path};

use metrics_core::Timestamp;

use crate::{Call, Cell, Column, Fold, Kind, Moment, Place, Seen, Table};

/// Keeps the slowest calls and few others, however many there are.
#[derive(Debug)]
pub struct Slowest {
    limit: usize,
    /// All that may be among the slowest, in no order; at most twice as many as the limit.
    kept: Vec<SlowCall>,
    /// What a call must last to be among them, and when it must have started if it lasts no longer, in microseconds.
    least: (u64, Reverse<i64>),
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

/// Duration, start, place.
type Key<'a> = (u64, Reverse<i64>, Reverse<(&'a Path, u32, u64)>);

impl SlowCall {
    /// The same calls are kept, in the same order, however the work was shared.
    fn key(&self) -> Key<'_> {
        let Place { source, part, line } = &self.place;
        (
            self.duration_ms,
            Reverse(self.start.unix_micros()),
            Reverse((source.path.as_path(), *part, *line)),
        )
    }
}

impl Slowest {
    /// Keeps so many.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: Vec::new(),
            least: (0, Reverse(i64::MAX)),
        }
    }

    /// Once there are twice as many as wanted, the faster half of them leaves: a look at each of them for as many more calls.
    fn keep(&mut self, call: SlowCall) {
        self.kept.push(call);
        if self.kept.len() / 2 < self.limit {
            return;
        }
        let slowest_first = |one: &SlowCall, other: &SlowCall| other.key().cmp(&one.key());
        let (_, last, _) = self
            .kept
            .select_nth_unstable_by(self.limit - 1, slowest_first);
        self.least = (last.duration_ms, Reverse(last.start.unix_micros()));
        self.kept.truncate(self.limit);
    }

    /// The calls, the slowest first.
    pub fn into_calls(mut self) -> impl Iterator<Item = SlowCall> {
        self.kept
            .sort_unstable_by(|one, other| other.key().cmp(&one.key()));
        self.kept.truncate(self.limit);
        self.kept.into_iter().map(|it| SlowCall {
            worker: it.worker.or_else(|| it.place.source.worker.clone()),
            ..it
        })
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
            let start = Timestamp::from(it.start).to_string();
            let line = seen.line(&it.place);
            let (model, phase, tool) = match it.kind {
                Kind::LlmCall => (Some(it.name), Some(it.phase), None),
                Kind::ToolCall => (None, None, Some(it.name)),
            };
            vec![
                Cell::Whole(it.duration_ms.into()),
                Cell::Text(it.kind.as_str().to_owned()),
                Cell::text(model),
                Cell::text(phase),
                Cell::text(tool),
                Cell::Bool(it.success),
                Cell::text(it.error),
                Cell::whole(it.total_tokens),
                Cell::Text(start),
                Cell::text(it.worker),
                Cell::Text(it.place.source.path.to_string_lossy().into_owned()),
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
        let (least_ms, latest) = self.least;
        if self.limit == 0
            || record.duration_ms < least_ms
            || (record.duration_ms == least_ms && Reverse(record.start.unix_micros()) < latest)
        {
            return;
        }
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        self.keep(SlowCall {
            duration_ms: record.duration_ms,
            start: record.start,
            place: call.place(),
            kind: record.kind,
            name: text(record.name),
            phase: text(record.phase),
            worker: record.worker.map(text), // The source knows the others'.
            success: record.success,
            error: record.error.map(text),
            total_tokens: record.usage.total_tokens,
        });
    }

    fn merge(&mut self, other: Self) {
        for call in other.kept {
            self.keep(call);
        }
    }
}

#[cfg(all(test, feature = "scan"))]
mod tests {
    use std::{fmt::Write as _, fs};

    use super::Slowest;
    use crate::{Cell, Filter, Input, scan};

    #[test]
    fn those_that_took_longest_are_kept_and_of_equal_ones_those_that_began_first() {
        let dir = tempfile::tempdir().unwrap();
        let mut calls = Vec::new();
        let mut inputs = Vec::new();
        for file in 0..3_u128 {
            let mut text = String::new();
            for line in 1..=200_u128 {
                let (ms, second) = (line * 37 % 23, (line * 7 + file) % 5);
                let _ = writeln!(
                    text,
                    r#"{{"event":"tool_call","tool":"t","start_ts":"2025-12-15T04:08:{second:02}.000000Z","end_ts":"2025-12-15T04:09:08.000000Z","duration_ms":{ms},"success":true}}"#
                );
                calls.push((std::cmp::Reverse(ms), second, file, line));
            }
            let path = dir.path().join(format!("{file}.jsonl"));
            fs::write(&path, text).unwrap();
            inputs.push(Input::Path(path));
        }
        calls.sort_unstable();
        for limit in [0, 1, 2, 7, 100, 599, 600, 1000] {
            let (slowest, seen) = scan(&inputs, &Filter::default(), || Slowest::new(limit));
            let table = slowest.into_table(&seen);
            assert_eq!(table.rows.len(), limit.min(600));
            for (row, (ms, second, file, line)) in table.rows.iter().zip(&calls) {
                let of = |name| &row[table.columns.iter().position(|it| it.name == name).unwrap()];
                let path = dir.path().join(format!("{file}.jsonl"));
                assert_eq!(*of("duration_ms"), Cell::Whole(ms.0), "{limit}");
                let start = format!("2025-12-15T04:08:{second:02}.000000Z");
                assert_eq!(*of("start_ts"), Cell::Text(start), "{limit}");
                assert_eq!(
                    *of("file"),
                    Cell::Text(path.display().to_string()),
                    "{limit}"
                );
                assert_eq!(*of("line"), Cell::Whole(*line), "{limit}");
            }
        }
    }
}
