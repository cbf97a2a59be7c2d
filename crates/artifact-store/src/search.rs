//! Searching the files of many workers with ripgrep's parts, within bounds.

mod pattern;
mod walk;

use std::time::{Duration, Instant};

use metrics_core::{Timestamp, WorkerId};

use self::{pattern::Pattern, walk::Walk};
use crate::{ArtifactStore, StoreError};

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
        let pattern = Pattern::new(pattern)?;
        let seconds = self.seconds_newest_first(options.since)?;
        let dir = self.dir()?;
        Walk::new(self.clone(), dir, pattern, options.clone(), seconds).run(deadline)
    }
}
