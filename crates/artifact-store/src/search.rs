//! Searching the files of many workers with ripgrep's parts, within bounds.

mod walk;

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use metrics_core::{Timestamp, WorkerId};

use self::walk::{Found, Walk};
use crate::{ArtifactStore, StoreError};

/// The largest compiled pattern, in bytes. Time to search grows with it.
const MAX_PATTERN_BYTES: usize = 1 << 20;
const TIME_IS_UP: &str = "the time limit was reached";

/// What to search for, and how far.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// Only workers made at this time or later.
    pub since: Option<Timestamp>,
    /// Only workers of this owner.
    pub owner: Option<String>,
    /// At most so many matching lines.
    pub max_matches: usize,
    /// At most so many characters of each.
    pub max_chars: usize,
    /// At most so long; what was found until then is given.
    pub max_time: Duration,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self {
            since: None,
            owner: None,
            max_matches: 50,
            max_chars: 200,
            max_time: Duration::from_secs(2),
        }
    }
}

/// One matching line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The worker.
    pub worker_id: WorkerId,
    /// The job it carries out.
    pub job_id: Option<u64>,
    /// The file, relative to the worker's directory.
    pub file: String,
    /// The line's number, from 1.
    pub line: u64,
    /// The line, or as many of its characters as were asked for, around the match.
    pub text: String,
}

/// Matching lines and what was not searched.
#[derive(Debug, Default)]
pub struct SearchResult {
    /// The matches: the newest worker's first.
    pub matches: Vec<Match>,
    /// Workers that were searched.
    pub workers_searched: usize,
    /// Whether more may match than is given, and why: the limit on matches, or on time.
    pub stopped: Option<&'static str>,
    /// Files that were passed over, with the reason.
    pub skipped: Vec<String>,
}

impl ArtifactStore {
    /// Searches the files of all workers, the newest first, for lines that match `pattern` in upper or lower case.
    ///
    /// Workers and files that cannot be read, and files with lines of several MiB, are passed over, and said. Files that
    /// are no text are searched like others.
    ///
    /// # Errors
    /// [`StoreError::Pattern`] if `pattern` is not a regular expression or too large a one; otherwise only if the data
    /// directory itself cannot be read or no thread can be started.
    pub fn search(
        &self,
        pattern: &str,
        options: &SearchOptions,
    ) -> Result<SearchResult, StoreError> {
        let deadline = Instant::now().checked_add(options.max_time);
        let matcher = matcher(pattern)?;
        let seconds = self.seconds_newest_first(options.since)?;
        let (found, finds) = channel();
        let walk = Walk::new(self.clone(), matcher, options.clone(), deadline, found);
        // A pattern can be slow in the middle of a line, where nothing asks for the time. The answer does not wait for
        // that; the thread ends behind that line.
        thread::Builder::new()
            .name("triscope-search".to_owned())
            .spawn(move || walk.run(seconds))
            .map_err(StoreError::io("start a thread to search", self.data_dir()))?;
        Ok(collect(&finds, deadline))
    }
}

fn matcher(pattern: &str) -> Result<RegexMatcher, StoreError> {
    RegexMatcherBuilder::new()
        .case_insensitive(true)
        .line_terminator(Some(b'\n'))
        .size_limit(MAX_PATTERN_BYTES)
        .dfa_size_limit(10 << 20)
        .build(pattern)
        .map_err(|it| StoreError::Pattern {
            pattern: pattern.chars().take(200).collect(),
            reason: reason(&it.to_string()),
        })
}

/// The last line of a parser's message. Those before it show the pattern, however long it is.
fn reason(message: &str) -> String {
    let last = message.lines().last().unwrap_or_default();
    let last = last.strip_prefix("error: ").unwrap_or(last);
    last.trim_end_matches('.').chars().take(300).collect()
}

/// What is found until the deadline.
fn collect(finds: &Receiver<Found>, deadline: Option<Instant>) -> SearchResult {
    let mut result = SearchResult::default();
    loop {
        let found = match deadline {
            None => finds.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(it) => finds.recv_timeout(it.saturating_duration_since(Instant::now())),
        };
        match found {
            Ok(Found::Worker) => result.workers_searched += 1,
            Ok(Found::Match(found)) => result.matches.push(found),
            Ok(Found::Skipped(what)) => result.skipped.push(what),
            Ok(Found::Ended(stopped)) => {
                result.stopped = stopped;
                return result;
            }
            Err(RecvTimeoutError::Timeout) => {
                result.stopped = Some(TIME_IS_UP);
                return result;
            }
            Err(RecvTimeoutError::Disconnected) => {
                result.stopped = Some("the search broke off");
                return result;
            }
        }
    }
}
