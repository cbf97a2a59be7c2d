//! The walk of one search through the workers' files.

use std::{
    fmt::Display,
    fs::File,
    io::{self, Read},
    sync::mpsc::Sender,
    time::Instant,
};

use grep_matcher::Matcher as _;
use grep_regex::RegexMatcher;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};

use super::{Match, SearchOptions, TIME_IS_UP};
use crate::{
    ArtifactStore, StoreError, WorkerFilter, WorkerReader, list::Second, liveness::Pulses,
};

/// A file with a longer line is passed over from there on.
const MAX_LINE_BYTES: usize = 4 << 20;

/// What a walk comes upon.
pub(super) enum Found {
    /// One more worker.
    Worker,
    Match(Match),
    /// A file that is passed over, and why.
    Skipped(String),
    /// The walk is over; if it stopped early, why.
    Ended(Option<&'static str>),
}

pub(super) struct Walk {
    store: ArtifactStore,
    matcher: RegexMatcher,
    searcher: Searcher,
    options: SearchOptions,
    /// `None` if there is all the time in the world.
    deadline: Option<Instant>,
    found: Sender<Found>,
    n_matches: usize,
}

/// Why a walk goes no further.
struct Stopped(&'static str);

impl Walk {
    pub(super) fn new(
        store: ArtifactStore,
        matcher: RegexMatcher,
        options: SearchOptions,
        deadline: Option<Instant>,
        found: Sender<Found>,
    ) -> Self {
        let searcher = SearcherBuilder::new()
            .line_number(true)
            // A power cut can leave a block of NUL bytes in a log; what stands behind it is wanted, too.
            .binary_detection(BinaryDetection::none())
            .heap_limit(Some(MAX_LINE_BYTES))
            .build();
        Self {
            store,
            matcher,
            searcher,
            options,
            deadline,
            found,
            n_matches: 0,
        }
    }

    pub(super) fn run(mut self, seconds: &[Second]) {
        let stopped = self.seconds(seconds).err().map(|Stopped(why)| why);
        let _ = self.found.send(Found::Ended(stopped)); // Nobody waits any more if time was up.
    }

    fn seconds(&mut self, seconds: &[Second]) -> Result<(), Stopped> {
        let filter = WorkerFilter {
            since: self.options.since,
            owner: self.options.owner.clone(),
            ..WorkerFilter::default()
        };
        let mut pulses = Pulses::default();
        for second in seconds {
            check_deadline(self.deadline).map_err(|_| Stopped(TIME_IS_UP))?;
            let list = self.store.read_second(second, &filter, &mut pulses);
            for problem in list.problems {
                self.send(Found::Skipped(problem.to_string()))?;
            }
            for metadata in list.workers {
                // One that is gone was pruned meanwhile.
                if let Ok(worker) = self.store.worker(&metadata.worker_id) {
                    self.worker(&worker, metadata.job_id)?;
                }
            }
        }
        Ok(())
    }

    fn worker(&mut self, worker: &WorkerReader, job_id: Option<u64>) -> Result<(), Stopped> {
        self.send(Found::Worker)?;
        let files = match worker.files() {
            Ok(files) => files,
            Err(error) => return self.send(Found::Skipped(error.to_string())),
        };
        for file in files {
            match worker.open_file(&file) {
                Ok(opened) => self.file(opened, worker, job_id, &file)?,
                Err(StoreError::Refused { problem, .. }) => self.skip(worker, &file, &problem)?,
                Err(error) => self.send(Found::Skipped(error.to_string()))?,
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        opened: File,
        worker: &WorkerReader,
        job_id: Option<u64>,
        file: &str,
    ) -> Result<(), Stopped> {
        let timed = Timed {
            file: opened,
            deadline: self.deadline,
        };
        let mut sink = Collect {
            matcher: &self.matcher,
            options: &self.options,
            deadline: self.deadline,
            worker,
            job_id,
            file,
            found: &self.found,
            n_matches: &mut self.n_matches,
            stopped: None,
        };
        let outcome = self.searcher.search_reader(&self.matcher, timed, &mut sink);
        let stopped = sink.stopped;
        match outcome {
            Ok(()) => stopped.map_or(Ok(()), |why| Err(Stopped(why))),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Stopped(TIME_IS_UP)),
            Err(error) => self.skip(worker, file, &error),
        }
    }

    fn skip(&self, worker: &WorkerReader, file: &str, why: &dyn Display) -> Result<(), Stopped> {
        let path = worker.path().join(file);
        self.send(Found::Skipped(format!("`{}`: {why}", path.display())))
    }

    fn send(&self, found: Found) -> Result<(), Stopped> {
        self.found.send(found).map_err(|_| Stopped(TIME_IS_UP))
    }
}

/// A file that is not read beyond the deadline.
struct Timed {
    file: File,
    deadline: Option<Instant>,
}

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        // A moderate piece, as nothing asks for the time while it is searched.
        const PIECE: usize = 16 << 10;
        check_deadline(self.deadline)?;
        let piece = bytes.len().min(PIECE);
        self.file.read(&mut bytes[..piece])
    }
}

fn check_deadline(deadline: Option<Instant>) -> io::Result<()> {
    if deadline.is_some_and(|it| Instant::now() >= it) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(())
}

struct Collect<'a> {
    matcher: &'a RegexMatcher,
    options: &'a SearchOptions,
    deadline: Option<Instant>,
    worker: &'a WorkerReader,
    job_id: Option<u64>,
    file: &'a str,
    found: &'a Sender<Found>,
    n_matches: &'a mut usize,
    stopped: Option<&'static str>,
}

impl Sink for Collect<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        check_deadline(self.deadline)?;
        if *self.n_matches >= self.options.max_matches {
            self.stopped = Some("the limit on matches was reached");
            return Ok(false);
        }
        *self.n_matches += 1;
        let found = Match {
            worker_id: self.worker.id().clone(),
            job_id: self.job_id,
            file: self.file.to_owned(),
            line: found.line_number().unwrap_or(0),
            text: self.excerpt(found.bytes()),
        };
        let is_wanted = self.found.send(Found::Match(found)).is_ok();
        Ok(is_wanted)
    }
}

impl Collect<'_> {
    /// The line's characters around the match.
    fn excerpt(&self, line: &[u8]) -> String {
        let start = self
            .matcher
            .find(line)
            .ok()
            .flatten()
            .map_or(0, |it| it.start());
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        let max = self.options.max_chars;
        let total = text.chars().count();
        if total <= max {
            return text.to_owned();
        }
        // A long line is shown from a little before its match, and to the full length.
        let before = String::from_utf8_lossy(&line[..start]).chars().count();
        let skip = before.saturating_sub(max / 4).min(total - max);
        text.chars().skip(skip).take(max).collect()
    }
}
