//! Failed calls by what was called and how it failed.

use metrics_core::Timestamp;
use rustc_hash::FxHashMap;

use crate::{Call, Cell, Column, Fold, Kind, Place, Seen, Table, table::one_line};

/// So many groups are told apart; what comes later is counted together.
const MAX_GROUPS: usize = 10_000;
/// So much of an error tells it apart from others.
const MAX_BYTES: usize = 200;
/// What the errors are called that came after [`MAX_GROUPS`].
const MORE: &str = "(other errors)";

/// Groups failed calls.
#[derive(Debug, Default)]
pub struct Failures(FxHashMap<(Kind, String, String), Failure>);

#[derive(Debug)]
struct Failure {
    count: u64,
    total_ms: u128,
    /// The call that ended last, for a look at it.
    last: (i64, Option<String>, Place),
}

impl Failure {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.total_ms += other.total_ms;
        let key = |it: &Self| (it.last.0, it.last.2.source.path.clone());
        if key(&other) > key(self) {
            self.last = other.last;
        }
    }
}

impl Failures {
    fn add(&mut self, key: (Kind, String, String), failure: Failure) {
        let key = if self.0.len() < MAX_GROUPS || self.0.contains_key(&key) {
            key
        } else {
            (key.0, key.1, MORE.to_owned())
        };
        match self.0.get_mut(&key) {
            Some(known) => known.merge(failure),
            None => drop(self.0.insert(key, failure)),
        }
    }

    /// The groups, the largest first, at most `limit`.
    pub fn into_table(self, seen: &Seen, limit: Option<usize>) -> Table {
        let column = |name, head| Column { name, head };
        let mut groups: Vec<_> = self.0.into_iter().collect();
        groups.sort_unstable_by(|(one, a), (other, b)| b.count.cmp(&a.count).then(one.cmp(other)));
        groups.truncate(limit.unwrap_or(usize::MAX));
        let rows = groups.into_iter().map(|((kind, name, error), failure)| {
            let is_llm = kind == Kind::LlmCall;
            let (end, worker, place) = failure.last;
            vec![
                Cell::Whole(failure.count.into()),
                Cell::text((!is_llm).then(|| name.clone())),
                Cell::text(is_llm.then_some(name)),
                Cell::Text(error),
                Cell::Whole(failure.total_ms),
                Cell::Text(Timestamp::from_unix_micros(end).to_string()),
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
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        let error = record
            .error
            .map_or_else(|| "(no error text)".to_owned(), normalised);
        let failure = Failure {
            count: 1,
            total_ms: record.duration_ms.into(),
            last: (
                record.end.unix_micros(),
                call.worker().map(text),
                call.place(),
            ),
        };
        self.add((record.kind, text(record.name), error), failure);
    }

    fn merge(&mut self, other: Self) {
        for (key, failure) in other.0 {
            self.add(key, failure);
        }
    }
}

/// An error without what differs from one time to the next: numbers, ids and addresses become `#`, runs of white space
/// one space.
fn normalised(error: &[u8]) -> String {
    let error = &error[..error.len().min(4 * MAX_BYTES)];
    let text = String::from_utf8_lossy(error);
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
    use super::normalised;

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
