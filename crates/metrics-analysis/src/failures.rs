//! Failed calls by what was called and how it failed.

use std::path::Path;

use metrics_core::Timestamp;
use rustc_hash::FxHashMap;

use crate::{Call, Cell, Column, Fold, Kind, Moment, Place, Seen, Table, table::one_line};

/// So many groups are told apart; what comes later is counted together.
const MAX_GROUPS: usize = 10_000;
/// So much of an error or a name tells it apart from others.
const MAX_BYTES: usize = 200;
/// What the errors are called that came after as many groups, and the names that came after twice as many.
const MORE: [&str; 2] = ["(other errors)", "(others)"];

/// Groups failed calls.
#[derive(Debug)]
pub struct Failures {
    groups: FxHashMap<Key, Failed>,
    max_groups: usize,
}

impl Default for Failures {
    fn default() -> Self {
        Self::with_limit(MAX_GROUPS)
    }
}

/// What was called, its name, and how it failed.
type Key = (Kind, String, String);

#[derive(Debug)]
struct Failed {
    count: u64,
    total_ms: u128,
    last: LastFailure,
}

/// Calls of one model or tool that failed in the same way.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FailureGroup {
    /// What was called.
    pub kind: Kind,
    /// The model's or the tool's name; of a long one its beginning.
    pub name: String,
    /// What their errors have in common: numbers, ids and addresses are `#`.
    pub error: String,
    /// How many they are.
    pub count: u64,
    /// How long they took together.
    pub total_ms: u128,
    /// The one that ended last, for a look at it.
    pub last: LastFailure,
}

/// The last of some failed calls.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LastFailure {
    /// When it ended.
    pub end: Moment,
    /// Its error as it stands, of a long one the beginning; `None` if it has none.
    pub error: Option<String>,
    /// The worker that made it.
    pub worker: Option<String>,
    /// Where its line stands.
    pub place: Place,
}

impl LastFailure {
    /// When it ended, and of two that ended together the file whose name comes later.
    fn key(&self) -> (i64, &Path) {
        (self.end.unix_micros(), &self.place.source.path)
    }
}

impl Failed {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.total_ms += other.total_ms;
        if other.last.key() > self.last.key() {
            self.last = other.last;
        }
    }
}

impl Failures {
    /// Tells about so many groups apart, and counts what comes later together; otherwise that is done from 10,000 on.
    pub fn with_limit(max_groups: usize) -> Self {
        Self {
            groups: FxHashMap::default(),
            max_groups: max_groups.min(MAX_GROUPS),
        }
    }

    fn add(&mut self, mut key: Key, failed: Failed) {
        let is_full = |key: &Key, max| self.groups.len() >= max && !self.groups.contains_key(key);
        if is_full(&key, self.max_groups) {
            MORE[0].clone_into(&mut key.2);
        }
        if is_full(&key, 2 * self.max_groups) {
            MORE[1].clone_into(&mut key.1);
        }
        match self.groups.get_mut(&key) {
            Some(known) => known.merge(failed),
            None => drop(self.groups.insert(key, failed)),
        }
    }

    /// The groups, the largest first.
    pub fn into_groups(self) -> Vec<FailureGroup> {
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        groups.sort_unstable_by(|(one, a), (other, b)| b.count.cmp(&a.count).then(one.cmp(other)));
        let groups = groups.into_iter();
        groups
            .map(|((kind, name, error), failed)| FailureGroup {
                kind,
                name,
                error,
                count: failed.count,
                total_ms: failed.total_ms,
                last: failed.last,
            })
            .collect()
    }

    /// The groups, the largest first, at most `limit`.
    pub fn into_table(self, seen: &Seen, limit: Option<usize>) -> Table {
        let column = |name, head| Column { name, head };
        let groups = self.into_groups().into_iter();
        let rows = groups.take(limit.unwrap_or(usize::MAX)).map(|group| {
            let is_llm = group.kind == Kind::LlmCall;
            let LastFailure {
                end, worker, place, ..
            } = group.last;
            vec![
                Cell::Whole(group.count.into()),
                Cell::text((!is_llm).then(|| group.name.clone())),
                Cell::text(is_llm.then_some(group.name)),
                Cell::Text(group.error),
                Cell::Whole(group.total_ms),
                Cell::Text(Timestamp::from(end).to_string()),
                Cell::text(worker),
                Cell::Text(place.source.path.display().to_string()),
                Cell::Whole(seen.line(&place).into()),
            ]
        });
        Table {
            rows: rows.collect(),
            columns: vec![
                column("count", "FAILED"),
                column("tool", "TOOL"),
                column("model", "MODEL"),
                column("error", "ERROR"),
                column("total_ms", "TOTAL MS"),
                column("last_ts", "LAST"),
                column("last_worker", "LAST WORKER"),
                column("last_file", ""),
                column("last_line", "LINE"),
            ],
        }
    }
}

impl Fold for Failures {
    #[inline]
    fn call(&mut self, call: &Call<'_>) {
        let record = call.record;
        if record.success {
            return;
        }
        let error = record
            .error
            .map_or_else(|| "(no error text)".to_owned(), normalised);
        let failed = Failed {
            count: 1,
            total_ms: record.duration_ms.into(),
            last: LastFailure {
                end: record.end,
                error: record.error.map(|it| beginning(it, 4 * MAX_BYTES)),
                worker: call.worker().map(|it| beginning(it, usize::MAX)),
                place: call.place(),
            },
        };
        let name = beginning(record.name, MAX_BYTES);
        self.add((record.kind, name, error), failed);
    }

    fn merge(&mut self, other: Self) {
        for (key, failed) in other.groups {
            self.add(key, failed);
        }
    }
}

fn beginning(text: &[u8], max_bytes: usize) -> String {
    let text = String::from_utf8_lossy(text);
    text[..text.floor_char_boundary(max_bytes)].to_owned()
}

/// An error without what differs from one time to the next: numbers, ids and addresses become `#`, runs of white space
/// one space.
fn normalised(error: &[u8]) -> String {
    let text = beginning(error, 4 * MAX_BYTES);
    let words = text.split_whitespace().map(|word| {
        let mut res = String::new();
        for part in word.split_inclusive(|it: char| !it.is_alphanumeric()) {
            let end = part
                .find(|it: char| !it.is_alphanumeric())
                .unwrap_or(part.len());
            let (run, separator) = part.split_at(end);
            if run.bytes().any(|it| it.is_ascii_digit()) {
                // One for a whole id, address or version.
                if !res.ends_with('#')
                    && !res.ends_with("#.")
                    && !res.ends_with("#-")
                    && !res.ends_with("#:")
                {
                    res.push('#');
                } else {
                    res.truncate(res.trim_end_matches(['.', '-', ':']).len());
                }
            } else {
                res.push_str(run);
            }
            res.push_str(separator);
        }
        res
    });
    let mut text = one_line(&words.collect::<Vec<_>>().join(" "));
    text.truncate(text.floor_char_boundary(MAX_BYTES));
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Failures, MAX_GROUPS, normalised};
    use crate::{Call, Fold as _, Kind, Record, Source};

    #[test]
    fn names_that_somebody_makes_up_do_not_fill_the_memory() {
        let source = Arc::new(Source::new("metrics.jsonl".into()));
        let mut failures = Failures::default();
        let n_calls = 5 * MAX_GROUPS;
        for n in 0..n_calls {
            let name = format!("{n}-{}", "é".repeat(500));
            let record = Record {
                name: name.as_bytes(),
                success: false,
                ..Record::EMPTY
            };
            failures.call(&Call {
                record: &record,
                source: &source,
                part: 0,
                line: 1,
                pricing: None,
            });
        }
        let groups = failures.into_groups();
        assert_eq!(groups.len(), 2 * MAX_GROUPS + 1);
        let counted: u64 = groups.iter().map(|it| it.count).sum();
        assert_eq!(counted, n_calls as u64);
        assert!(groups.iter().all(|it| it.name.len() <= 200));
        let most = (groups[0].kind, &*groups[0].name, &*groups[0].error);
        assert_eq!(most, (Kind::ToolCall, "(others)", "(other errors)"));
    }

    #[test]
    fn what_differs_from_time_to_time_is_left_out() {
        for (error, expected) in [
            ("timeout", "timeout"),
            ("HTTP 503", "HTTP #"),
            (
                "connect to 10.0.0.7:8080 failed after 30s",
                "connect to # failed after #",
            ),
            ("no worker 2025-12-15T04-08-08_backup", "no worker #_backup"),
            ("id 0af76519-16cd-43dd-8448-eb211c80319c", "id #"),
            (
                "Connection refused: http://cube:9000/",
                "Connection refused: http://cube:#/",
            ),
            ("  two\n\nlines\t", "two lines"),
        ] {
            let shown = normalised(error.as_bytes());
            assert_eq!(shown, expected, "{error}");
        }
        assert!(!normalised(b"\x1b[31mred").contains(char::is_control));
        assert!(normalised("x".repeat(100_000).as_bytes()).len() <= 200);
        assert!(normalised("é\u{1b}".repeat(10_000).as_bytes()).len() <= 200);
    }
}
