//! The slowest calls, each with its place.

use std::{cmp::Reverse, path::Path};

use metrics_core::Timestamp;

use crate::{Call, Cell, Column, Fold, Place, Seen, Table};

const N_COLUMNS: usize = 12;

/// Keeps the slowest calls and few others, however many there are.
#[derive(Debug)]
pub struct Slowest {
    limit: usize,
    /// All that may be among the slowest, in no order; at most twice as many as the limit.
    kept: Vec<Kept>,
    /// What a call must last to be among them.
    least_ms: u64,
}

/// One of them.
#[derive(Debug)]
struct Kept {
    duration_ms: u64,
    /// Of calls that took equally long, those that started first are kept.
    start: Reverse<i64>,
    place: Place,
    /// All of its row but the line, whose number is known in the end: threads make rows while others still read.
    row: Vec<Cell>,
}

/// Duration, start, place.
type Key<'a> = (u64, Reverse<i64>, Reverse<(&'a Path, u32, u64)>);

impl Kept {
    /// The same calls are kept, in the same order, however the work was shared.
    fn key(&self) -> Key<'_> {
        let Place { source, part, line } = &self.place;
        (
            self.duration_ms,
            self.start,
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
            least_ms: 0,
        }
    }

    /// Once there are twice as many as wanted, the faster half of them leaves: a look at each of them for as many more calls.
    fn keep(&mut self, call: Kept) {
        self.kept.push(call);
        if self.kept.len() / 2 < self.limit {
            return;
        }
        let slowest_first = |one: &Kept, other: &Kept| other.key().cmp(&one.key());
        let (_, last, _) = self
            .kept
            .select_nth_unstable_by(self.limit - 1, slowest_first);
        self.least_ms = last.duration_ms;
        self.kept.truncate(self.limit);
    }

    /// The calls, the slowest first.
    pub fn into_table(mut self, seen: &Seen) -> Table {
        self.kept
            .sort_unstable_by(|one, other| other.key().cmp(&one.key()));
        self.kept.truncate(self.limit);
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
        let rows = self.kept.into_iter().map(|mut it| {
            it.row.push(Cell::Whole(seen.line(&it.place).into()));
            it.row
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
        if self.limit == 0 || record.duration_ms < self.least_ms {
            return;
        }
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        let path = call.source.path.to_string_lossy().into_owned();
        let mut row = Vec::with_capacity(N_COLUMNS);
        row.extend([
            Cell::Whole(record.duration_ms.into()),
            Cell::Text(record.kind.as_str().to_owned()),
            Cell::text(record.model().map(text)),
            Cell::text(record.phase().map(text)),
            Cell::text(record.tool().map(text)),
            Cell::Bool(record.success),
            Cell::text(record.error.map(text)),
            Cell::whole(record.usage.total_tokens),
            Cell::Text(Timestamp::from(record.start).to_string()),
            Cell::text(call.worker().map(text)),
            Cell::Text(path),
        ]);
        self.keep(Kept {
            duration_ms: record.duration_ms,
            start: Reverse(record.start.unix_micros()),
            place: call.place(),
            row,
        });
    }

    fn merge(&mut self, other: Self) {
        for call in other.kept {
            self.keep(call);
        }
    }
}

#[cfg(test)]
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
