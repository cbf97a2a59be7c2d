//! What the tests of several modules share.

use std::path::PathBuf;

use metrics_core::Timestamp;
use tempfile::TempDir;

use super::{JobBook, JobId, NewJob, RunId};

/// Texts that break what is careless with them.
pub(super) const HOSTILE: &[&str] = &[
    "",
    " ",
    "\0",
    "a\0b",
    "\0nul first",
    "x\ny\r\nz",
    "'",
    "''; DROP TABLE jobs; --",
    "' OR 1=1 --",
    "\" OR \"\"=\"",
    ":owner",
    "?1",
    "%_%",
    "back\\slash",
    "\u{1b}[31mred\u{1b}[0m",
    "\u{202e}evil",
    "\u{2028}line sep",
    "\u{feff}bom",
    "\u{ffff}",
    "e\u{301}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f466}",
    "../../etc/passwd",
    "%s%n%2e%2e",
    "null",
    "NaN",
    "1e999",
    "-0",
    "queued",
    "<script>alert(1)</script>",
];

/// A book in a directory of its own.
pub(super) struct TestBook {
    pub(super) book: JobBook,
    pub(super) path: PathBuf,
    _directory: TempDir,
}

impl TestBook {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jobs.sqlite");
        Self {
            book: JobBook::open(&path).unwrap(),
            path,
            _directory: directory,
        }
    }

    /// Adds a job of `owner`, spawned by the process `home` at second 1.
    pub(super) fn add(&self, owner: &str) -> JobId {
        self.book.add(&task_of(owner), &run("home"), at(1)).unwrap()
    }

    /// Adds one for whoever takes it.
    pub(super) fn add_shared(&self, owner: &str) -> JobId {
        let job = task_of(owner);
        self.book.add_shared(&job, &run("home"), at(1)).unwrap()
    }

    /// Adds so many for whoever takes them, in one commit.
    pub(super) fn add_many_shared(&self, owner: &str, n: u32) {
        let sql = "INSERT INTO jobs (owner, status, spawned_by, created_at, timeout_us, task, shared) \
                   WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) \
                   SELECT ?1, 'queued', 'home', 1000000, 5, 'calculate 7*6', 1 FROM n";
        let added = self.book.lock().execute(sql, (owner, n));
        assert_eq!(added, Ok(usize::try_from(n).unwrap()));
    }

    /// For a test of many commits that no power cut matters to.
    pub(super) fn without_disk(&self) {
        let off = "PRAGMA synchronous = OFF";
        self.book.lock().execute_batch(off).unwrap();
    }
}

pub(super) fn task_of(owner: &str) -> NewJob {
    NewJob::new(owner, "calculate 7*6")
}

pub(super) fn run(text: &str) -> RunId {
    text.into()
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_unix_micros(second * 1_000_000)
}

pub(super) fn id(number: u64) -> JobId {
    number.try_into().unwrap()
}
