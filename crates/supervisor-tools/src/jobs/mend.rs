//! Mending a damaged book: what it holds goes into a new one, with what the workers' metadata says; it is moved aside.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use artifact_store::{ArtifactStore, Metadata, Status, WorkerFilter};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior};
use serde_json::Map;
use worker_runner::DEFAULT_TIMEOUT;

use super::{
    Job, JobBookError, JobId, JobStatus, Recovery,
    files::{beside, private, remove_book, with_suffix},
    open,
    row::insert_job,
    salvage::{Salvaged, salvage},
};

/// Ends the name of the new book until it is whole. Found without a book, it is one that only has to be renamed.
const READY: &str = ".mended";
/// Ends the name of the copy that is read.
const COPY: &str = ".copy";
/// What a damaged book is called from then on, with the time behind it.
pub(super) const ASIDE: &str = ".damaged-";

/// Whether somebody who mended the book died just before the end.
pub(super) fn is_half_mended(book: &Path) -> bool {
    !book.exists() && with_suffix(book, READY).exists()
}

/// Removes what a mending that was broken off left beside a book that is sound. Nobody mends while one has it open.
pub(super) fn clean_up(book: &Path) {
    for leftover in [READY, COPY].map(|it| with_suffix(book, it)) {
        if leftover.exists() {
            let _ = remove_book(&leftover); // It is in nobody's way.
        }
    }
}

/// Does what they did not come to.
pub(super) fn finish(book: &Path) -> Result<(), JobBookError> {
    put_in_place(book).map_err(|source| JobBookError::not_writable(book, source))
}

/// Makes a new book in the place of a damaged one, which `reason` is said of. Nobody else may have it open.
///
/// Killed at any point, this leaves the damaged book where it is, or the new one whole.
pub(super) fn mend(
    book: &Path,
    store: &ArtifactStore,
    reason: String,
) -> Result<Recovery, JobBookError> {
    let fault = |source| JobBookError::not_writable(book, source);
    let (workers, _) = jobs_of_workers(book, store)?;
    let ready = with_suffix(book, READY);
    remove_book(&ready).map_err(fault)?;
    let mut connection = open::make(&ready)?;
    let salvaged = salvage(book, &with_suffix(book, COPY)).map_err(fault)?;
    let aside = free_name(book, store).map_err(fault)?;
    let mut recovery = fill(book, &mut connection, salvaged, workers)
        .map_err(|source| JobBookError::from_sqlite(&ready, source))?;
    recovery.reason = reason;
    recovery.moved_to = Some(aside.clone());
    // Closed, so that all of it is in the one file that is renamed.
    connection
        .close()
        .map_err(|(_, source)| JobBookError::from_sqlite(&ready, source))?;
    move_aside(book, &aside, &recovery)
        .and_then(|()| put_in_place(book))
        .map_err(fault)?;
    Ok(recovery)
}

/// Takes the workers that are there already into a book that never had a job: a new one, or one that lost all it held.
/// `None` if there are none, which is noted together with when workers last came or went.
pub(super) fn take_over(
    book: &Path,
    connection: &mut Connection,
    store: &ArtifactStore,
    changed: Option<i64>,
) -> Result<Option<Recovery>, JobBookError> {
    let (workers, are_all) = jobs_of_workers(book, store)?;
    if workers.is_empty() {
        if let Some(changed) = changed.filter(|_| are_all) {
            let _ = note_look(connection, changed); // Else they are looked at once more.
        }
        return Ok(None);
    }
    let nothing = Salvaged::default();
    let recovery = fill(book, connection, nothing, workers)
        .map_err(|source| JobBookError::from_sqlite(book, source))?;
    // Another process may have been the first to do so.
    Ok(Some(recovery).filter(|it| it.from_workers > 0))
}

/// When the last worker came or went, in nanoseconds since the Unix epoch. `None` if that is so short ago that the next
/// change might bear the same time.
pub(super) fn last_change(store: &ArtifactStore) -> Option<i64> {
    const COARSE: Duration = Duration::from_secs(1);
    let changed = fs::metadata(store.data_dir()).ok()?.modified().ok()?;
    let since = SystemTime::now().duration_since(changed).ok()?;
    let unix = changed.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(unix.as_nanos())
        .ok()
        .filter(|_| since >= COARSE)
}

/// [`last_change`] when no worker was found to have a job: whoever uses the crates without jobs may have many workers.
pub(super) fn looked_at(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'workers looked at'")?
        .query_row([], |row| row.get(0))
        .optional()
}

/// SQLite keeps its counters in a table that is open to others, so that this is no new format.
fn note_look(connection: &mut Connection, changed: i64) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let name = "workers looked at";
    transaction.execute("DELETE FROM sqlite_sequence WHERE name = ?", [name])?;
    transaction.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (name, changed))?;
    transaction.commit()
}

/// The jobs that workers are of, by what their metadata says; of a job's attempts the last one. And whether all could be read.
fn jobs_of_workers(
    book: &Path,
    store: &ArtifactStore,
) -> Result<(BTreeMap<JobId, Job>, bool), JobBookError> {
    let list = store.list(&WorkerFilter::default());
    let list = list.map_err(|source| JobBookError::Access {
        path: book.to_owned(),
        source: source.into(),
    })?;
    let mut jobs = BTreeMap::new();
    for job in list.workers.iter().filter_map(job_of) {
        match jobs.entry(job.id) {
            Entry::Vacant(place) => {
                place.insert(job);
            }
            Entry::Occupied(mut place) => {
                let known: &Job = place.get();
                if (job.attempt, job.created_at) > (known.attempt, known.created_at) {
                    place.insert(job);
                }
            }
        }
    }
    Ok((jobs, list.problems.is_empty()))
}

fn job_of(worker: &Metadata) -> Option<Job> {
    let timeout = worker.config["timeout_seconds"].as_f64();
    let timeout = timeout.and_then(|it| Duration::try_from_secs_f64(it).ok());
    let run = worker.run.as_deref();
    Some(Job {
        // A number that no job can have is not ours.
        id: worker.job_id?.try_into().ok()?,
        owner: worker.owner.clone(),
        task: worker.task.clone(),
        model: worker.config["model"].as_str().map(str::to_owned),
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        status: match worker.status {
            Status::Success => JobStatus::Success,
            Status::Failed => JobStatus::Failed,
            Status::Timeout => JobStatus::Timeout,
            Status::Cancelled => JobStatus::Cancelled,
            _ => JobStatus::Running,
        },
        worker_id: Some(worker.worker_id.clone()),
        spawned_by: run.unwrap_or("unknown").into(),
        run: run.map(Into::into),
        attempt: worker.attempt.unwrap_or(1),
        created_at: worker.created_at,
        started_at: Some(worker.started_at.unwrap_or(worker.created_at)),
        finished_at: worker.finished_at,
        error: worker.error.clone(),
        cancel_requested: false,
        is_shared: false,
        max_attempts: 1,
        settings: Map::new(),
        traceparent: None,
        parent_worker_id: worker.parent_worker_id.clone(),
    })
}

/// Writes all jobs into a book without any. Writes nothing if there are some by now.
fn fill(
    book: &Path,
    connection: &mut Connection,
    salvaged: Salvaged,
    workers: BTreeMap<JobId, Job>,
) -> rusqlite::Result<Recovery> {
    let mut recovery = Recovery {
        book: book.to_owned(),
        ..Recovery::default()
    };
    let (is_complete, highest) = (salvaged.is_complete, salvaged.highest);
    let mut jobs = salvaged.jobs;
    recovery.from_book = jobs.len();
    for (id, of_worker) in workers {
        match jobs.entry(id) {
            Entry::Vacant(place) => {
                recovery.from_workers += 1;
                place.insert(of_worker);
            }
            Entry::Occupied(place) => {
                let job = place.into_mut();
                // A final state stands. Short of that, the worker knows more than a page that may be an old one: above
                // all, that the job was started.
                if of_worker.attempt > job.attempt
                    || (!job.status.is_final() && of_worker.attempt == job.attempt)
                {
                    job.status = of_worker.status;
                    job.worker_id = of_worker.worker_id;
                    job.run = of_worker.run;
                    job.attempt = of_worker.attempt;
                    job.started_at = of_worker.started_at;
                    job.finished_at = of_worker.finished_at;
                    job.error = of_worker.error;
                }
            }
        }
    }
    let queued = jobs.values().filter(|it| it.status == JobStatus::Queued);
    recovery.queued = queued.count();
    let highest = highest.max(jobs.last_key_value().map(|(id, _)| *id));
    recovery.highest = highest.map_or(0, JobId::get);
    if !is_complete {
        recovery.missing = recovery.highest - jobs.len() as u64;
    }

    let written = super::book::in_transaction(connection, |transaction| {
        if !super::book::is_unused(transaction)? {
            return Ok(None);
        }
        for job in jobs.values() {
            insert_job(transaction, job)?;
        }
        if let Some(highest) = highest {
            super::book::continue_above(transaction, highest)?;
        }
        Ok(Some(()))
    })?;
    Ok(written.map_or_else(Recovery::default, |()| recovery))
}

/// A name that nothing has, for the damaged book.
fn free_name(book: &Path, store: &ArtifactStore) -> io::Result<PathBuf> {
    let now = store.clock().timestamp().to_string();
    let second = now.split('.').next().unwrap_or(&now).replace(':', "-");
    let mut aside = with_suffix(book, &format!("{ASIDE}{second}"));
    let first = aside.clone();
    for n in 2.. {
        let mut paths = beside(&aside).into_iter().chain([report_of(&aside)]);
        let mut is_free = true;
        for path in &mut paths {
            is_free &= !fs::exists(path)?;
        }
        if is_free {
            break;
        }
        aside = with_suffix(&first, &format!("-{n}"));
    }
    Ok(aside)
}

/// Where it is told what came back of the damaged book that is now `aside`.
pub(super) fn report_of(aside: &Path) -> PathBuf {
    with_suffix(aside, ".txt")
}

/// Gives the damaged book another name; its own goes last.
fn move_aside(book: &Path, aside: &Path, recovery: &Recovery) -> io::Result<()> {
    writeln!(private(&report_of(aside))?, "{recovery}")?;
    let files = beside(book).into_iter().zip(beside(aside));
    let files: Vec<_> = files.filter(|(from, _)| from.exists()).collect();
    for (from, to) in &files {
        // Not every file system has hard links.
        fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop))?;
    }
    sync_dir(book)?;
    fs::remove_file(book)
}

/// Gives the new book its name. The old one has none any more; a log of it must not be taken for the new one's.
fn put_in_place(book: &Path) -> io::Result<()> {
    remove_book(book)?;
    fs::rename(with_suffix(book, READY), book)?;
    sync_dir(book)
}

fn sync_dir(book: &Path) -> io::Result<()> {
    match book.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
