//! The file that a program appends its own events to, followed while it runs.
//!
//! It is read through the descriptor that it was made with: whatever the program does to the name, nothing else is read.

use std::{
    convert::Infallible,
    fs::File,
    io::{self, BufReader, Read},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    time::Duration,
};

use metrics_collector::MetricsCollector;
use metrics_core::{Clock, Event, EventReader, LineContent, LineFault, Timestamp};
use serde_json::{Value, json};

use worker_runner::Redactor;

use crate::admission::{Life, admit};

/// A longer line is no event.
const MAX_LINE_BYTES: usize = 64 << 10;
/// What is read in one go, so that a program that writes much keeps nobody from anything else.
const STEP_BYTES: u64 = 64 << 10;
/// How often the file is looked at.
const PAUSE: Duration = Duration::from_millis(25);
/// Reasons that are kept; beyond them lines are only counted.
const MAX_REASONS: usize = 10;

/// Reads a program's events and records them as its worker's.
#[derive(Debug)]
pub(crate) struct MetricsFile {
    lines: EventReader<BufReader<Tail>>,
    collector: MetricsCollector,
    clock: Clock,
    began: Timestamp,
    counts: Counts,
    redactor: Redactor,
}

/// What became of the lines.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Events taken.
    recorded: u64,
    /// Lines of other kinds, which this version does not know.
    passed_over: u64,
    /// Lines not taken.
    refused: u64,
    /// The first reasons.
    reasons: Vec<String>,
    /// What is wrong with the file as a whole.
    trouble: Option<&'static str>,
}

/// The file from where it was last read, up to what may be read in one go.
#[derive(Debug)]
struct Tail {
    file: File,
    offset: u64,
    left: u64,
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).map_or(buffer.len(), |it| it.min(buffer.len()));
        let n_bytes = self.file.read_at(&mut buffer[..room], self.offset)?;
        self.offset += n_bytes as u64;
        self.left -= n_bytes as u64;
        Ok(n_bytes)
    }
}

fn lines_of(file: File) -> EventReader<BufReader<Tail>> {
    let tail = Tail {
        file,
        offset: 0,
        left: 0,
    };
    EventReader::new(BufReader::new(tail)).max_line_bytes(MAX_LINE_BYTES)
}

impl MetricsFile {
    pub(crate) fn new(
        file: File,
        collector: MetricsCollector,
        clock: Clock,
        redactor: Redactor,
    ) -> Self {
        Self {
            lines: lines_of(file),
            began: clock.timestamp(),
            collector,
            clock,
            counts: Counts::default(),
            redactor,
        }
    }

    /// Another handle of the same file.
    pub(crate) fn file(&mut self) -> io::Result<File> {
        self.tail().file.try_clone()
    }

    /// Records what comes, for as long as it is polled. May be dropped at any time and called again.
    pub(crate) async fn follow(&mut self) -> Infallible {
        loop {
            if self.step() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    /// Reads what there is now to its end, or as far as `is_enough` lets it; what stands behind the last line end is a line
    /// too.
    pub(crate) async fn finish(mut self, mut is_enough: impl FnMut() -> bool) -> Counts {
        // What a process that outlives the worker goes on to write is nobody's.
        let end = self.stat().map_or(0, |(length, _)| length);
        while self.step() && self.tail().offset < end {
            if is_enough() {
                self.trouble("the worker was stopped before all of it was read");
                return self.counts;
            }
            tokio::task::yield_now().await;
        }
        if self.stat().is_some_and(|(_, links)| links == 0) {
            self.trouble("it was removed or replaced, and is read no further than that");
        }
        let unfinished = self.lines.unfinished();
        if let Some(line) = unfinished {
            let (number, content) = (line.number, owned(line.content));
            self.take(number, content);
        }
        self.counts
    }

    /// Reads a bounded part; whether there is more to read at once.
    fn step(&mut self) -> bool {
        let Some((length, _)) = self.stat() else {
            return false;
        };
        if length < self.tail().offset {
            self.trouble("it was cut while it was read");
            self.start_over();
        }
        if length == self.tail().offset {
            return false;
        }
        self.tail().left = STEP_BYTES;
        loop {
            match self.lines.next_line() {
                Ok(Some(line)) => {
                    let (number, content) = (line.number, owned(line.content));
                    self.take(number, content);
                }
                Ok(None) => break,
                Err(_) => {
                    self.trouble("it cannot be read");
                    return false;
                }
            }
        }
        // Nothing was read though the file is longer: it was cut in this moment, and the next look says so.
        self.tail().left < STEP_BYTES && self.tail().offset < length
    }

    fn take(&mut self, number: u64, content: Content) {
        let life = Life {
            began: self.began,
            now: self.clock.timestamp(),
            trace: self.collector.trace(),
        };
        match content {
            Content::Event(event) => match admit(*event, &life, &self.redactor) {
                Ok(event) => {
                    self.counts.recorded += 1;
                    self.collector.record(event);
                }
                Err(reason) => self.refuse(number, &reason.to_string()),
            },
            Content::Unknown => self.counts.passed_over += 1,
            Content::Unusable(fault) => self.refuse(number, &fault.to_string()),
        }
    }

    fn refuse(&mut self, number: u64, reason: &str) {
        self.counts.refused += 1;
        if self.counts.reasons.len() < MAX_REASONS {
            // It may repeat a part of the line.
            let reason = &*self.redactor.text(reason);
            tracing::warn!(
                line = number,
                reason,
                "a line of the program's metrics file is refused"
            );
            self.counts.reasons.push(format!("line {number}: {reason}"));
        }
    }

    fn trouble(&mut self, trouble: &'static str) {
        if self.counts.trouble.is_none() {
            tracing::warn!(trouble, "the program's metrics file is not as it was");
            self.counts.trouble = Some(trouble);
        }
    }

    fn start_over(&mut self) {
        let again = self.tail().file.try_clone();
        match again {
            Ok(file) => self.lines = lines_of(file),
            Err(_) => self.trouble("it cannot be read"),
        }
    }

    fn tail(&mut self) -> &mut Tail {
        self.lines.get_mut().get_mut()
    }

    /// The file's length and the number of its names.
    fn stat(&mut self) -> Option<(u64, u64)> {
        let metadata = self.tail().file.metadata().ok()?;
        Some((metadata.len(), metadata.nlink()))
    }
}

/// A line's content, free of the reader's buffer.
enum Content {
    Event(Box<Event<'static>>),
    Unknown,
    Unusable(LineFault),
}

fn owned(content: LineContent<'_>) -> Content {
    match content {
        LineContent::Event(event) => Content::Event(Box::new(event.into_owned())),
        LineContent::Unusable(fault) => Content::Unusable(fault),
        _ => Content::Unknown,
    }
}

impl Counts {
    /// As they stand in the metadata.
    pub(crate) fn facts(&self) -> Value {
        json!({
            "recorded": self.recorded,
            "refused": self.refused,
            "passed_over": self.passed_over,
            "reasons": self.reasons,
            "trouble": self.trouble,
        })
    }

    /// What whoever reads the result shall know.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let lines = if self.refused == 1 { "line" } else { "lines" };
        let first = self.reasons.first();
        let refused = first.map(|first| {
            format!(
                "{} {lines} of the program's metrics refused ({first})",
                self.refused
            )
        });
        let trouble = self
            .trouble
            .map(|it| format!("the program's metrics file: {it}"));
        refused.into_iter().chain(trouble).collect()
    }
}
