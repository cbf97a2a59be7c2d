//! The SQLite files: whether the job book is sound, and whether one before it was not; whether the index is.

use artifact_store::ArtifactStore;
use supervisor_tools::{JobBook, JobBookError, one_line, sqlite_fault};

use super::finding::{Finding, count};

const JOB_BOOK: &str = "job book";

/// `n_jobs` is how many workers say that they are of a job.
pub(super) fn job_book(store: &ArtifactStore, n_jobs: usize) -> Vec<Finding> {
    let path = JobBook::path_in(store);
    let finding = match JobBook::examine(&path) {
        Ok(Some(it)) => {
            let jobs = count(it.jobs, "job");
            Finding::ok(
                JOB_BOOK,
                format!(
                    "sound: {jobs}, {} queued, {} running",
                    it.queued, it.running
                ),
            )
        }
        Ok(None) if n_jobs == 0 => Finding::ok(JOB_BOOK, "none yet: no job was ever added"),
        Ok(None) => Finding::warn(
            JOB_BOOK,
            format!(
                "missing or empty, and {} of a job",
                count(n_jobs, "worker is")
            ),
            "the next command, such as `triscope workers`, takes their jobs over; jobs that waited in the queue are lost",
        ),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let (found, advice) = match &error {
                JobBookError::Damaged { .. } => (
                    format!("damaged: {}", cause.unwrap_or_default()),
                    "the next command, such as `triscope workers`, moves it aside and makes a new one of what can be read, once no other process has it open",
                ),
                JobBookError::Busy { .. } => (
                    error.to_string(),
                    "see which process holds it (fuser), and try again",
                ),
                _ => (
                    error.to_string(),
                    "do what the message says; nothing is changed until then",
                ),
            };
            Finding::fail(JOB_BOOK, one_line(&found), advice)
        }
    };
    let mut findings = vec![finding.at(&path)];
    // A directory that cannot be listed is a finding of another check.
    for moved in JobBook::moved_aside(&path).unwrap_or_default() {
        let found = moved.report.unwrap_or_else(|| {
            format!(
                "an earlier one was damaged and is now `{}`",
                moved.path.display()
            )
        });
        let advice = "spawn again what is missed; then delete the damaged file, with those of the same beginning";
        findings.push(Finding::warn(JOB_BOOK, one_line(&found), advice).at(moved.path));
    }
    findings
}

/// The cache of lists, which is held against the directories whenever it is used, and made anew where it does not fit.
pub(super) fn index(store: &ArtifactStore) -> Vec<Finding> {
    const CHECK: &str = "index";
    let path = store.own_dir().join("index.sqlite");
    let fault = store.with_index_at_rest(sqlite_fault).flatten();
    let finding = match fault {
        Some(fault) => Finding::warn(
            CHECK,
            format!("damaged: {}", one_line(&fault)),
            "nothing to do: lists read the directories instead, and make it anew; it can be deleted at any time",
        ),
        None if path.exists() => {
            Finding::ok(CHECK, "sound; a cache that can be deleted at any time")
        }
        None => Finding::ok(CHECK, "none yet: lists read the directories"),
    };
    vec![finding.at(path)]
}
