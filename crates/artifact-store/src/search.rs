//! Searching the files of many workers with ripgrep's parts, within bounds.

use std::{
    fs::File,
    io::{self, Read},
    time::{Duration, Instant},
};

use grep_regex::RegexMatcherBuilder;
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch};
use metrics_core::{Timestamp, WorkerId};

use crate::{ArtifactStore, StoreError, WorkerFilter};

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
    /// # Errors
    /// [`StoreError::Pattern`] if `pattern` is not a regular expression or too large a one.
    pub fn search(
        &self,
        pattern: &str,
        options: &SearchOptions,
    ) -> Result<SearchResult, StoreError> {
        let matcher = RegexMatcherBuilder::new()
            .case_insensitive(true)
            .line_terminator(Some(b'\n'))
            .size_limit(10 << 20)
            .dfa_size_limit(10 << 20)
            .build(pattern)
            .map_err(|it| StoreError::Pattern {
                pattern: pattern.chars().take(200).collect(),
                reason: it.to_string(),
            })?;
        let mut searcher = SearcherBuilder::new()
            .line_number(true)
            .binary_detection(BinaryDetection::quit(0))
            .heap_limit(Some(16 << 20))
            .build();
        let deadline = Instant::now() + options.max_time;
        let mut result = SearchResult::default();
        let workers = self.list(&WorkerFilter {
            since: options.since,
            owner: options.owner.clone(),
            ..WorkerFilter::default()
        })?;
        result
            .skipped
            .extend(workers.problems.iter().map(ToString::to_string));
        for metadata in workers.workers {
            let Ok(worker) = self.worker(&metadata.worker_id) else {
                continue; // Pruned meanwhile.
            };
            result.workers_searched += 1;
            for file in worker.files()? {
                let opened = match worker.open_file(&file) {
                    Ok(opened) => opened,
                    Err(error) => {
                        result.skipped.push(error.to_string());
                        continue;
                    }
                };
                let mut sink = Collect {
                    matcher: &matcher,
                    options,
                    worker_id: &metadata.worker_id,
                    job_id: metadata.job_id,
                    file: &file,
                    result: &mut result,
                    binary: false,
                };
                let outcome = searcher.search_reader(&matcher, Timed(opened, deadline), &mut sink);
                let binary = sink.binary;
                let name = || worker.path().join(&file).display().to_string();
                match outcome {
                    Ok(()) if binary => result
                        .skipped
                        .push(format!("{}: searched up to its first NUL byte", name())),
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                        result.stopped = Some("the time limit was reached");
                        return Ok(result);
                    }
                    Err(error) => result.skipped.push(format!("{}: {error}", name())),
                }
                if result.stopped.is_some() {
                    return Ok(result);
                }
            }
        }
        Ok(result)
    }
}

/// A file that is not read beyond the deadline.
struct Timed(File, Instant);

impl Read for Timed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.1 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.0.read(bytes)
    }
}

struct Collect<'a> {
    matcher: &'a grep_regex::RegexMatcher,
    options: &'a SearchOptions,
    worker_id: &'a WorkerId,
    job_id: Option<u64>,
    file: &'a str,
    result: &'a mut SearchResult,
    binary: bool,
}

impl Sink for Collect<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        if self.result.matches.len() >= self.options.max_matches {
            self.result.stopped = Some("the limit on matches was reached");
            return Ok(false);
        }
        self.result.matches.push(Match {
            worker_id: self.worker_id.clone(),
            job_id: self.job_id,
            file: self.file.to_owned(),
            line: found.line_number().unwrap_or(0),
            text: self.excerpt(found.bytes()),
        });
        Ok(true)
    }

    fn binary_data(&mut self, _: &Searcher, _: u64) -> io::Result<bool> {
        self.binary = true;
        Ok(false)
    }
}

impl Collect<'_> {
    /// The line's characters around the match.
    fn excerpt(&self, line: &[u8]) -> String {
        use grep_matcher::Matcher as _;
        let start = self
            .matcher
            .find(line)
            .ok()
            .flatten()
            .map_or(0, |it| it.start());
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        let before = String::from_utf8_lossy(&line[..start]).chars().count();
        let max = self.options.max_chars;
        if text.chars().count() <= max {
            return text.to_owned();
        }
        // A long line is shown from a little before its match.
        let skip = before.saturating_sub(max / 4);
        text.chars().skip(skip).take(max).collect()
    }
}
