//! Calls out of lines that somebody else reads.

use std::{path::PathBuf, sync::Arc};

use metrics_core::{Line, LineContent};
use model_prices::PriceTable;

use crate::{
    Call, Problem, Record, Seen, Source,
    call::MAX_PROBLEMS,
    pricing::{Pricer, Pricing},
};

/// Makes calls for a [`Fold`](crate::Fold) out of a file's lines, which somebody else reads: a file that is open already, say, or one
/// whose last line is still being written.
///
/// ```
/// use metrics_analysis::{Feed, Stats};
/// use metrics_core::EventReader;
///
/// let file = b"{\"event\":\"tool_call\",\"tool\":\"ssh_exec\",\"start_ts\":\"2025-12-15T04:08:08.345678Z\",\
///     \"end_ts\":\"2025-12-15T04:08:09.456789Z\",\"duration_ms\":1111,\"success\":true}\nnot json\n";
/// let mut lines = EventReader::new(&file[..]);
/// let (mut feed, mut stats) = (Feed::new("metrics.jsonl".into(), None), Stats::default());
/// while let Some(line) = lines.next_line()? {
///     feed.line(&line, |call| stats.add(call.record));
/// }
/// assert_eq!(stats.duration_ms.max(), Some(1111));
/// assert_eq!(feed.into_seen().unusable, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Feed<'a> {
    source: Arc<Source>,
    pricer: Option<Pricer<'a>>,
    seen: Seen,
}

impl<'a> Feed<'a> {
    /// For the lines of the file that is called `path`; it is not opened. With `prices` calls have a [cost](Call::cost).
    pub fn new(path: PathBuf, prices: Option<&'a PriceTable>) -> Self {
        Self {
            source: Arc::new(Source::new(path)),
            pricer: prices.map(Pricer::new),
            seen: Seen {
                files: 1,
                ..Seen::default()
            },
        }
    }

    /// Gives `take` the call that the line tells of; any other line is counted.
    pub fn line(&mut self, line: &Line<'_>, take: impl FnOnce(&Call<'_>)) {
        let record = match &line.content {
            LineContent::Event(event) => Record::of_event(event),
            LineContent::Unusable(fault) => return self.unusable(line.number, fault.to_string()),
            _ => None,
        };
        let Some(record) = record else {
            self.seen.others += 1;
            return;
        };
        self.seen.calls += 1;
        self.seen.matching += 1;
        take(&Call {
            record: &record,
            source: &self.source,
            part: 0,
            line: line.number,
            pricing: self.pricer.as_ref().map(|it| it as &dyn Pricing),
        });
    }

    fn unusable(&mut self, line: u64, reason: String) {
        self.seen.unusable += 1;
        if self.seen.problems.len() < MAX_PROBLEMS {
            self.seen.problems.push(Problem {
                path: self.source.path.clone(),
                line: Some(line),
                reason,
            });
        }
    }

    /// What there was besides the calls.
    pub fn into_seen(self) -> Seen {
        self.seen
    }
}

#[cfg(all(test, feature = "scan"))]
mod tests {
    use std::{fs, fs::File, io::BufReader};

    use metrics_core::EventReader;
    use model_prices::PriceTable;

    use super::Feed;
    use crate::{
        Failures, Filter, Fold, Format, Groups, Input, Key, ReportOptions, Seen, Slowest, report,
        scan,
    };

    const SEED: &str = include_str!("../testdata/seed-metrics.jsonl");

    /// All that is asked of one file's calls.
    #[derive(Debug)]
    struct All(Groups, Failures, Slowest);

    impl All {
        fn new() -> Self {
            let groups = Groups::by(&[Key::Model, Key::Tool]);
            Self(groups, Failures::default(), Slowest::new(3))
        }

        fn told(self, seen: &Seen) -> String {
            let options = ReportOptions {
                by: vec![Key::Model, Key::Tool],
                sort: None,
                limit: None,
            };
            let tables = [
                report(self.0.into_groups(), &options),
                self.1.into_table(seen, None),
                self.2.into_table(seen),
            ];
            let tables = tables.map(|it| it.render(Format::Jsonl));
            format!("{}{:?}", tables.concat(), seen.complaints())
        }
    }

    impl Fold for All {
        fn call(&mut self, call: &crate::Call<'_>) {
            self.0.call(call);
            self.1.call(call);
            self.2.call(call);
        }

        fn merge(&mut self, other: Self) {
            self.0.merge(other.0);
            self.1.merge(other.1);
            self.2.merge(other.2);
        }
    }

    #[test]
    fn what_somebody_else_reads_comes_to_the_same_as_a_scan() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.jsonl");
        let failed = SEED
            .lines()
            .filter(|it| it.contains("tool_call"))
            .map(|it| {
                it.replace(
                    "\"success\":true",
                    "\"success\":false,\"error\":\"HTTP 503\"",
                )
            });
        let failed = failed.collect::<Vec<_>>().join("\n");
        let strange = "not json\n\n{\"event\":\"party\"}\n";
        fs::write(&path, format!("{SEED}{strange}{failed}\n{SEED}")).unwrap();

        let filter = Filter {
            prices: Some(PriceTable::builtin()),
            ..Filter::default()
        };
        let (scanned, seen) = scan(&[Input::Path(path.clone())], &filter, All::new);
        let mut added = All::new();
        let mut feed = Feed::new(path.clone(), filter.prices.as_ref());
        let mut lines = EventReader::new(BufReader::new(File::open(&path).unwrap()));
        while let Some(line) = lines.next_line().unwrap() {
            feed.line(&line, |call| added.call(call));
        }
        let found = feed.into_seen();
        let counts = |it: &Seen| (it.files, it.calls, it.matching, it.others, it.unusable);
        assert_eq!(counts(&found), counts(&seen));
        assert!(seen.others == 1 && seen.unusable == 1);
        let scanned = scanned.told(&seen);
        assert_eq!(added.told(&found), scanned);
        assert!(
            scanned.contains("HTTP #") && scanned.contains("cost_usd"),
            "{scanned}"
        );
    }
}
