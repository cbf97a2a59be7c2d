//! When the calls of ended workers ended, so that a report need not read workers that cannot have any of its calls.
//!
//! Read from `metrics.jsonl` itself, as neither the metadata nor the times of files bound the times of calls: clocks are
//! set back, and programs write their own events. Believed only where the file holds just those events that the metadata
//! speaks of, and none was lost: then nothing of ours writes there any more. All other workers may have any call.

use std::{ffi::OsString, io::BufReader, os::unix::ffi::OsStringExt as _, path::PathBuf};

use metrics_core::{EventReader, LineContent, Timestamp};
use rusqlite::{ToSql, params};
use rustix::fs::fstat;

use super::{
    Index,
    file::{IndexFile, Unusable},
    newest::Change,
    settled::{Stamp, is_unchanged, now},
};
use crate::{Metadata, confined::Dir, worker::file_names};

/// A larger `metrics.jsonl` is not looked at: whoever asks reads it faster.
pub(super) const MAX_BYTES: u64 = 64 << 20;
/// A longer line was not written by us.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Which calls are wanted: those that fit all of these. An empty list wants any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WantedCalls {
    /// Calls that ended at this time or later.
    pub since: Option<Timestamp>,
    /// Calls that ended before this time.
    pub until: Option<Timestamp>,
    /// Of these workers, by id.
    pub workers: Vec<String>,
    /// Of workers of one of these owners.
    pub owners: Vec<String>,
    /// Of workers in one of these states, in the words of their metadata.
    pub statuses: Vec<String>,
}

/// Tells which workers of a data directory may have wanted calls. Needs no open store, and makes nothing but the index.
///
/// Dropping it waits for the thread that brings the index up to date, a second at most.
///
/// ```
/// use artifact_store::{CallIndex, WantedCalls};
///
/// # let data_dir = tempfile::tempdir()?;
/// # let data_dir = data_dir.path();
/// let wanted = WantedCalls {
///     since: Some("2025-12-15T04:00:00.000000Z".parse()?),
///     ..WantedCalls::default()
/// };
/// match CallIndex::of(data_dir).workers(&wanted) {
///     Some(names) => println!("any such call is in one of {names:?}"),
///     None => println!("all workers must be read to know"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CallIndex(Index);

impl CallIndex {
    /// That of the store in `data_dir`, if there is one.
    pub fn of(data_dir: impl Into<PathBuf>) -> Self {
        Self(Index::new(data_dir.into()))
    }

    /// The names in the data directory under which there may be a wanted call, in no order: also those of workers that
    /// cannot be read, and of links, so that whoever reads them all can say so. `None` if all must be read to know.
    ///
    /// A worker that has ended is left out by what it was when it was last read. Changed by hand since, it is found out if
    /// it is among the 1,000 whose calls are the newest.
    pub fn workers(&self, wanted: &WantedCalls) -> Option<Vec<OsString>> {
        if *wanted == WantedCalls::default() {
            return None;
        }
        self.0.workers_with_calls(wanted)
    }
}

/// How many bytes of events may be read.
pub(super) struct Budget<'a> {
    of_one: u64,
    of_all: u64,
    is_over: &'a dyn Fn() -> bool,
    is_spent: bool,
}

impl<'a> Budget<'a> {
    /// A file of more than `of_one` bytes is passed over. One of more than is left of `of_all` spends it, and so does
    /// one that is not read to its end before `is_over` says so.
    pub(super) fn new(of_one: u64, of_all: u64, is_over: &'a dyn Fn() -> bool) -> Self {
        Self {
            of_one,
            of_all,
            is_over,
            is_spent: false,
        }
    }

    /// Whether something was left that a new one may suffice for.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Whether to read on.
    pub(super) fn goes_on(&mut self) -> bool {
        self.is_spent |= (self.is_over)();
        !self.is_spent
    }

    /// Whether to read a file of this size.
    fn take(&mut self, size: u64) -> bool {
        if size > self.of_one || !self.goes_on() {
            return false;
        }
        match self.of_all.checked_sub(size) {
            Some(left) => self.of_all = left,
            None => self.is_spent = true,
        }
        !self.is_spent
    }
}

/// What is known of an ended worker's calls.
#[derive(Debug)]
pub(super) enum Calls {
    /// They are not to be relied on.
    Unclear,
    /// When the first and the last of them ended, in microseconds, and which file said so.
    Ended { first: i64, last: i64, stamp: Stamp },
}

impl Calls {
    /// Reads them in the worker's directory; `None` if they have just changed and may do so again, or are too many for
    /// `budget`.
    pub(super) fn read(worker: &Dir, metadata: &Metadata, budget: &mut Budget<'_>) -> Option<Self> {
        let now = now();
        let (Some(n_events), 0) = (metadata.events, metadata.events_lost.unwrap_or(0)) else {
            return Some(Self::Unclear);
        };
        let Ok(file) = worker.file(file_names::METRICS) else {
            return Some(Self::Unclear);
        };
        let stat = fstat(&file).ok()?;
        let stamp = Stamp::if_sure(&stat, now)?;
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > MAX_BYTES {
            return Some(Self::Unclear);
        }
        if !budget.take(size) {
            return None;
        }
        let file = BufReader::with_capacity(16 << 10, file);
        let mut reader = EventReader::new(file).max_line_bytes(MAX_LINE_BYTES);
        let (mut n_there, mut first, mut last) = (0, i64::MAX, i64::MIN);
        loop {
            if !budget.goes_on() {
                return None;
            }
            match reader.next_line() {
                Ok(Some(line)) => {
                    let LineContent::Event(event) = line.content else {
                        return Some(Self::Unclear);
                    };
                    let end = event.time().end_ts().unix_micros();
                    (first, last) = (first.min(end), last.max(end));
                    n_there += 1;
                }
                Ok(None) => break,
                Err(_) => return Some(Self::Unclear),
            }
        }
        if n_there != n_events || reader.unfinished().is_some() {
            return Some(Self::Unclear);
        }
        Some(Self::Ended { first, last, stamp })
    }

    pub(super) fn stamp(&self) -> &[u8] {
        match self {
            Self::Unclear => &[],
            Self::Ended { stamp, .. } => stamp.bytes(),
        }
    }

    pub(super) fn first_end(&self) -> Option<i64> {
        match self {
            Self::Unclear => None,
            Self::Ended { first, .. } => Some(*first),
        }
    }

    pub(super) fn last_end(&self) -> Option<i64> {
        match self {
            Self::Unclear => None,
            Self::Ended { last, .. } => Some(*last),
        }
    }
}

/// The workers that may have wanted calls, and those of them that nobody has looked at since they ended, if they have.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    pub(super) names: Vec<OsString>,
    pub(super) unseen: Vec<String>,
}

pub(super) fn candidates(index: &IndexFile, wanted: &WantedCalls) -> Result<Candidates, Unusable> {
    let mut found = Candidates::default();
    let list = |of: &[String]| serde_json::to_string(of);
    let (workers, owners) = (list(&wanted.workers)?, list(&wanted.owners)?);
    let statuses = list(&wanted.statuses)?;
    let (since, until) = (
        wanted.since.map(Timestamp::unix_micros),
        wanted.until.map(Timestamp::unix_micros),
    );
    let mut narrow = Narrow::default();
    if !wanted.workers.is_empty() {
        narrow.by("id IN (SELECT value FROM json_each(?))", &workers);
    }
    // Whatever is not known may be anything, but for its name.
    let unclear = narrow.select("SELECT id, calls IS NULL FROM worker WHERE last_end IS NULL");
    let mut statement = index.connection.prepare_cached(&unclear)?;
    let mut rows = statement.query(&*narrow.parameters)?;
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        if row.get(1)? {
            found.unseen.push(id.clone());
        }
        found.names.push(id.into());
    }
    // A `+` keeps SQLite from going by what may be the same in most rows.
    let mut plus = "";
    if let Some(since) = &since {
        narrow.by("last_end >= ?", since);
        plus = "+";
    }
    if let Some(until) = &until {
        narrow.by("first_end < ?", until);
    }
    for (column, wanted, one_of) in [
        ("owner", wanted.owners.is_empty(), &owners),
        ("status", wanted.statuses.is_empty(), &statuses),
    ] {
        if !wanted {
            let sql = format!("{plus}{column} IN (SELECT value FROM json_each(?))");
            narrow.by(&sql, one_of);
        }
    }
    let known = narrow.select("SELECT id FROM worker WHERE last_end IS NOT NULL");
    let mut statement = index.connection.prepare_cached(&known)?;
    let mut rows = statement.query(&*narrow.parameters)?;
    while let Some(row) = rows.next()? {
        found.names.push(row.get::<_, String>(0)?.into());
    }
    let mut statement = index.connection.prepare_cached("SELECT name FROM odd")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        found.names.push(OsString::from_vec(row.get(0)?));
    }
    Ok(found)
}

/// Conditions, and what is put in for their question marks.
#[derive(Default)]
struct Narrow<'a> {
    sql: String,
    parameters: Vec<&'a dyn ToSql>,
}

impl<'a> Narrow<'a> {
    fn by(&mut self, condition: &str, parameter: &'a dyn ToSql) {
        self.sql = format!("{} AND {condition}", self.sql);
        self.parameters.push(parameter);
    }

    fn select(&self, rows: &str) -> String {
        format!("{rows}{}", self.sql)
    }
}

/// Which workers are not as they were, of the `limit` whose calls are the newest.
pub(super) fn edited(index: &IndexFile, dir: &Dir, limit: i64) -> Result<Vec<Change>, Unusable> {
    let mut statement = index.connection.prepare_cached(
        "SELECT id, stamp, calls FROM worker WHERE last_end IS NOT NULL ORDER BY last_end DESC LIMIT ?1",
    )?;
    let mut rows = statement.query(params![limit])?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get_ref(0)?.as_str()?;
        let files = [(file_names::METADATA, 1), (file_names::METRICS, 2)];
        for (file, column) in files {
            if !is_unchanged(dir, id, file, row.get_ref(column)?.as_blob()?) {
                changes.push(Change::Unsettle(id.to_owned()));
                break;
            }
        }
    }
    Ok(changes)
}
