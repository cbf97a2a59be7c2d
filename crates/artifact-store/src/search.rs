//! Searching the files of many workers with ripgrep's parts, within bounds.

mod cut;
mod pattern;
mod walk;

use std::{
    io,
    time::{Duration, Instant},
};

use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};
use metrics_core::{Timestamp, WorkerId};

use self::{cut::CutLines, pattern::Pattern, walk::Walk};
use crate::{ArtifactStore, StoreError};

/// A worker's file with a longer line is passed over from there on.
const MAX_LINE_BYTES: usize = 4 << 20;
/// So much of it is not for one line's text: the searcher's buffer grows in steps.
const CUT_BYTES: usize = 64 << 10;

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
    /// Workers that were searched; where the search stopped early, not the same number each time.
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
        let pattern = Pattern::new(pattern, false)?;
        let seconds = self.seconds_newest_first(options.since)?;
        let dir = self.dir()?;
        Walk::new(self.clone(), dir, pattern, options.clone(), seconds).run(deadline)
    }
}

/// How [`LineSearch`] goes about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct LineOptions {
    /// Upper and lower case differ.
    pub case_sensitive: bool,
    /// Lines are counted, which takes a moment.
    pub line_numbers: bool,
}

/// Finds lines in any text, such as a log, as [`ArtifactStore::search`] finds them in the files of workers.
#[derive(Debug)]
pub struct LineSearch {
    pattern: Pattern,
    searcher: Searcher,
}

impl LineSearch {
    /// Looks for lines that match `pattern`, a regular expression.
    ///
    /// # Errors
    /// [`StoreError::Pattern`] if `pattern` is not a regular expression or too large a one.
    pub fn new(pattern: &str, options: LineOptions) -> Result<Self, StoreError> {
        Ok(Self {
            pattern: Pattern::new(pattern, options.case_sensitive)?,
            searcher: searcher(options.line_numbers),
        })
    }

    /// Hands each matching line of `text` with its end to `take`, and its number, from 1, if lines are counted, until that says
    /// `false`. Of a line that is longer than 4 MiB less a few KiB only that much is looked at; says how many there were.
    ///
    /// # Errors
    /// Those of reading `text` and of `take`.
    pub fn lines(
        &mut self,
        text: impl io::Read,
        take: impl FnMut(Option<u64>, &[u8]) -> io::Result<bool>,
    ) -> io::Result<u64> {
        let mut text = CutLines::new(text, MAX_LINE_BYTES - CUT_BYTES);
        let sink = Take(take);
        self.searcher
            .search_reader(&self.pattern, &mut text, sink)?;
        Ok(text.n_cut())
    }
}

struct Take<F>(F);

impl<F: FnMut(Option<u64>, &[u8]) -> io::Result<bool>> Sink for Take<F> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        (self.0)(found.line_number(), found.bytes())
    }
}

fn searcher(line_numbers: bool) -> Searcher {
    SearcherBuilder::new()
        .line_number(line_numbers)
        // A power cut can leave a block of NUL bytes in a log; what stands behind it is wanted, too.
        .binary_detection(BinaryDetection::none())
        .heap_limit(Some(MAX_LINE_BYTES))
        .build()
}
