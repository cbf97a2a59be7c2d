//! What the two files of telemetry say, read in Rust, to hold other readers' answers against.

use std::{fs, path::Path};

use log_format::{LogLine, parse_line};
use metrics_core::{Event, EventReader, LineContent};

/// The lines of a text, and none for what comes after its last line end.
pub(crate) trait Lines {
    /// Splits into lines; the text must be empty or end with a line end.
    fn whole_lines(&self) -> Vec<&str>;
}

impl Lines for str {
    #[track_caller]
    fn whole_lines(&self) -> Vec<&str> {
        let ends = self.is_empty() || self.ends_with('\n');
        assert!(ends, "the last line is torn: {self:?}");
        self.lines().collect()
    }
}

/// A whole `metrics.jsonl`, every line of which is an event.
#[derive(Debug, Clone)]
pub(crate) struct MetricsFile {
    pub(crate) text: String,
    pub(crate) events: Vec<Event<'static>>,
}

impl MetricsFile {
    #[track_caller]
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
        Self::parse(text)
    }

    /// Takes a file's text apart; a line that is no event is a failure.
    #[track_caller]
    pub(crate) fn parse(text: String) -> Self {
        let n_lines = text.whole_lines().len();
        let mut reader = EventReader::new(text.as_bytes());
        let mut events = Vec::new();
        while let Some(line) = reader.next_line().expect("memory can be read") {
            match line.content {
                LineContent::Event(event) => events.push(event.into_owned()),
                other => panic!("line {} is no event: {other:?}", line.number),
            }
        }
        assert_eq!(events.len(), n_lines, "blank lines in {text:?}");
        Self { text, events }
    }

    pub(crate) fn durations_ms(&self) -> Vec<u64> {
        self.events
            .iter()
            .map(|it| it.time().duration_ms())
            .collect()
    }
}

/// A whole log, every line of which reads back.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    pub(crate) text: String,
}

impl LogFile {
    #[track_caller]
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path)
            .unwrap_or_else(|error| panic!("cannot read `{}`: {error}", path.display()));
        Self { text }
    }

    /// Every line, taken apart.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<LogLine<'_>> {
        let lines = self.text.whole_lines();
        let parsed = lines.into_iter().map(|line| {
            parse_line(line).unwrap_or_else(|error| panic!("{error} in the log line {line:?}"))
        });
        parsed.collect()
    }

    /// The lines of calls, in order, of one worker or of all.
    #[track_caller]
    pub(crate) fn calls(&self, worker_id: Option<&str>) -> Vec<LogLine<'_>> {
        let mut lines = self.lines();
        lines.retain(|it| {
            let is_of = worker_id.is_none() || it.get("worker_id") == worker_id;
            it.is_telemetry() && it.message.ends_with("_call_complete") && is_of
        });
        lines
    }
}

/// While the guard lives, snapshots show `[worker]`, `[time]`, `[port]` and `[duration]` where the values differ from
/// run to run.
pub(crate) fn normalised() -> insta::internals::SettingsBindDropGuard {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d_", "[second]_");
    settings.add_filter(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[time]");
    settings.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[time]");
    settings.add_filter(r"127\.0\.0\.1([:-])\d+", "127.0.0.1$1[port]");
    settings.add_filter(r"\b\d+(\.\d\d)?ms( \([0-9hms. ]+\))?", "[duration]");
    settings.add_filter(r"duration_(ms|us)(\W+)\d+", "duration_$1$2[duration]");
    settings.add_filter(
        r#""(trace_id|span_id|run|boot_id|host)": "[^"]+""#,
        r#""$1": "[$1]""#,
    );
    settings.bind_to_scope()
}
