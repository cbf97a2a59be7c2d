//! The book itself: adding, claiming, ending, cancelling and finding jobs.

use std::{
    path::{self, Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use metrics_core::{Timestamp, WorkerId};
use rusqlite::{
    Connection, OptionalExtension, Row, ToSql, Transaction, TransactionBehavior, named_params,
    types::Type,
};

use super::{FinalStatus, Job, JobBookError, JobFilter, JobId, JobStatus, NewJob, RunId, open};

macro_rules! columns {
    () => {
        "id, owner, task, model, timeout_us, status, worker_id, spawned_by, run, attempt, created_at, \
         started_at, finished_at, error, cancel_requested"
    };
}

/// Asks for all that [`read_job`] wants.
pub(super) const SELECT_ANY: &str = concat!("SELECT ", columns!(), " FROM jobs WHERE id = :id");
// Through the index, a job of another owner costs what one that is not there costs: neither is reached.
const SELECT_OWN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM jobs INDEXED BY jobs_by_owner WHERE owner = :owner AND id = :id"
);
const SELECT_BY_WORKER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM jobs INDEXED BY jobs_by_worker WHERE worker_id = :worker_id \
     ORDER BY id DESC LIMIT 1"
);
const SELECT_OWN_BY_WORKER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM jobs INDEXED BY jobs_by_worker \
     WHERE worker_id = :worker_id AND owner = :owner ORDER BY id DESC LIMIT 1"
);
const INSERT: &str = "INSERT INTO jobs (owner, task, model, timeout_us, status, spawned_by, created_at) \
     VALUES (:owner, :task, :model, :timeout_us, 'queued', :spawned_by, :now)";

macro_rules! claim {
    ($which:literal) => {
        concat!(
            "UPDATE jobs SET status = 'running', run = :run, started_at = :now, attempt = attempt + 1, \
             worker_id = NULL WHERE status = 'queued' AND id = ", $which, " RETURNING ", columns!()
        )
    };
}
const CLAIM: &str = claim!(":id");
// `'queued'` stands in the text, not in a parameter: else SQLite could not use the index of what waits.
const CLAIM_NEXT_OF: &str = claim!(
    "(SELECT id FROM jobs INDEXED BY jobs_in_line \
      WHERE status = 'queued' AND spawned_by = :spawned_by ORDER BY id LIMIT 1)"
);
const CLAIM_NEXT_ANY: &str = claim!(
    "(SELECT id FROM jobs INDEXED BY jobs_by_status WHERE status = 'queued' ORDER BY id LIMIT 1)"
);

/// The jobs of one data directory, in one SQLite file that any number of processes share.
///
/// # Contract
/// - A change is on disk when its call returns, and happened wholly or not at all.
/// - One job is claimed by one process; its first final state stands.
/// - A number is never given twice, not even after its job is gone.
/// - Opening the book, and reading it, runs and changes no job.
/// - Calls block: for a commit's time, and at most for 5 s while other processes write.
#[derive(Debug)]
pub struct JobBook {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl JobBook {
    /// Opens the book at `path`, such as `<data>/.triscope/jobs.sqlite`; makes it, readable by its owner alone, if there
    /// is none.
    ///
    /// The directory has to exist. [`JobBookError::is_damaged`] tells a file that has to be moved aside.
    pub fn open(path: &Path) -> Result<Self, JobBookError> {
        // An absolute path also keeps SQLite from taking `:memory:` for a command.
        let path =
            path::absolute(path).map_err(|source| JobBookError::not_writable(path, source))?;
        let connection = Mutex::new(open::open(&path)?);
        Ok(Self { path, connection })
    }

    /// Where the book is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down a task of the process `spawned_by`; returns its number once it is on disk.
    pub fn add(
        &self,
        job: &NewJob,
        spawned_by: &RunId,
        now: Timestamp,
    ) -> Result<JobId, JobBookError> {
        let number = self.write(|transaction| {
            transaction.prepare_cached(INSERT)?.execute(named_params! {
                ":owner": job.owner,
                ":task": job.task,
                ":model": job.model,
                ":timeout_us": i64::try_from(job.timeout.as_micros()).unwrap_or(i64::MAX),
                ":spawned_by": spawned_by.as_str(),
                ":now": now.unix_micros(),
            })?;
            // Refused before the commit, so that a number out of range leaves no job behind.
            Ok(JobId::from_sql(transaction.last_insert_rowid()).ok())
        })?;
        number.ok_or_else(|| JobBookError::NoNumberLeft {
            path: self.path.clone(),
        })
    }

    /// Sees to it that the next job's number is above `highest`, the highest in any worker's metadata.
    ///
    /// For a new book over workers that are there already.
    pub fn continue_above(&self, highest: JobId) -> Result<(), JobBookError> {
        self.change(
            "UPDATE sqlite_sequence SET seq = max(seq, :highest) WHERE name = 'jobs'",
            named_params! { ":highest": highest.to_sql() },
        )?;
        Ok(())
    }

    /// Whether no job was ever added, so that [`continue_above`](Self::continue_above) may still have to be called.
    pub fn is_unused(&self) -> Result<bool, JobBookError> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT seq = 0 FROM sqlite_sequence WHERE name = 'jobs'")?
                .query_row([], |row| row.get(0))
        })
    }

    /// The job of this number; with an `owner`, only if it is theirs.
    pub fn get(&self, id: JobId, owner: Option<&str>) -> Result<Option<Job>, JobBookError> {
        let id = id.to_sql();
        match owner {
            Some(owner) => self.find(SELECT_OWN, named_params! { ":id": id, ":owner": owner }),
            None => self.find(SELECT_ANY, named_params! { ":id": id }),
        }
    }

    /// The job whose last attempt is this worker; with an `owner`, only if it is theirs.
    pub fn by_worker(
        &self,
        worker_id: &WorkerId,
        owner: Option<&str>,
    ) -> Result<Option<Job>, JobBookError> {
        let worker_id = worker_id.as_str();
        match owner {
            Some(owner) => self.find(
                SELECT_OWN_BY_WORKER,
                named_params! { ":worker_id": worker_id, ":owner": owner },
            ),
            None => self.find(SELECT_BY_WORKER, named_params! { ":worker_id": worker_id }),
        }
    }

    /// The jobs that `filter` leaves, the newest first.
    pub fn list(&self, filter: &JobFilter<'_>) -> Result<Vec<Job>, JobBookError> {
        let status = filter.status.map(JobStatus::as_str);
        let since = filter.since.map(Timestamp::unix_micros);
        let limit = filter.limit.map(|it| i64::try_from(it).unwrap_or(i64::MAX));
        let mut sql = concat!("SELECT ", columns!(), " FROM jobs WHERE TRUE").to_owned();
        let mut params: Vec<(&str, &dyn ToSql)> = Vec::new();
        // Only the conditions that apply stand in the text, so that each combination can use its index.
        if filter.owner.is_some() {
            sql.push_str(" AND owner = :owner");
            params.push((":owner", &filter.owner));
        }
        if status.is_some() {
            sql.push_str(" AND status = :status");
            params.push((":status", &status));
        }
        if since.is_some() {
            sql.push_str(" AND created_at >= :since");
            params.push((":since", &since));
        }
        sql.push_str(" ORDER BY id DESC");
        if limit.is_some() {
            sql.push_str(" LIMIT :limit");
            params.push((":limit", &limit));
        }
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let jobs = statement.query_map(params.as_slice(), read_job)?;
            jobs.collect()
        })
    }

    /// The job's place among the queued jobs of the process that added it, 1 for the next; `None` if it is not queued.
    ///
    /// Jobs of other processes do not count: they stand in lines of their own, and some may never run.
    pub fn queue_position(&self, id: JobId) -> Result<Option<u64>, JobBookError> {
        let place: Option<i64> = self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT (SELECT count(*) FROM jobs AS ahead INDEXED BY jobs_in_line \
                             WHERE ahead.status = 'queued' AND ahead.spawned_by = job.spawned_by \
                               AND ahead.id <= job.id) \
                     FROM jobs AS job WHERE job.id = :id AND job.status = 'queued'",
                )?
                .query_row(named_params! { ":id": id.to_sql() }, |row| row.get(0))
                .optional()
        })?;
        Ok(place.map(i64::cast_unsigned))
    }

    /// Makes the queued job a running one of the process `run`; whether this call did so.
    pub fn claim(&self, id: JobId, run: &RunId, now: Timestamp) -> Result<bool, JobBookError> {
        let (run, now) = (run.as_str(), now.unix_micros());
        let claimed = self.take(
            CLAIM,
            named_params! { ":id": id.to_sql(), ":run": run, ":now": now },
        )?;
        Ok(claimed.is_some())
    }

    /// Claims for `run` the oldest queued job that the process `spawned_by` added; costs the same however many wait.
    pub fn claim_next_of(
        &self,
        spawned_by: &RunId,
        run: &RunId,
        now: Timestamp,
    ) -> Result<Option<Job>, JobBookError> {
        self.take(
            CLAIM_NEXT_OF,
            named_params! {
                ":spawned_by": spawned_by.as_str(),
                ":run": run.as_str(),
                ":now": now.unix_micros(),
            },
        )
    }

    /// Claims for `run` the oldest queued job of all: for processes that were started to run others' jobs.
    pub fn claim_next_any(&self, run: &RunId, now: Timestamp) -> Result<Option<Job>, JobBookError> {
        let (run, now) = (run.as_str(), now.unix_micros());
        self.take(CLAIM_NEXT_ANY, named_params! { ":run": run, ":now": now })
    }

    /// Notes the worker that a running job got; whether the job was running.
    pub fn started(&self, id: JobId, worker_id: &WorkerId) -> Result<bool, JobBookError> {
        self.change(
            "UPDATE jobs SET worker_id = :worker_id WHERE id = :id AND status = 'running'",
            named_params! { ":id": id.to_sql(), ":worker_id": worker_id.as_str() },
        )
    }

    /// Ends a queued or running job; whether it was this call that did, as the first final state stands.
    pub fn finish(
        &self,
        id: JobId,
        status: FinalStatus,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, JobBookError> {
        self.change(
            "UPDATE jobs SET status = :status, error = :error, finished_at = :now \
             WHERE id = :id AND status IN ('queued', 'running')",
            named_params! {
                ":id": id.to_sql(),
                ":status": JobStatus::from(status).as_str(),
                ":error": error,
                ":now": now.unix_micros(),
            },
        )
    }

    /// Ends a running job for the process `run`, which died; whether it was this call that did. Notes its worker where the
    /// process did not come to that.
    pub fn finish_for_dead(
        &self,
        id: JobId,
        run: &RunId,
        worker_id: Option<&WorkerId>,
        status: FinalStatus,
        error: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, JobBookError> {
        // Another process may have ended it, or claimed it anew, since the job was read.
        self.change(
            "UPDATE jobs SET status = :status, error = :error, finished_at = :now, \
             worker_id = coalesce(worker_id, :worker_id) \
             WHERE id = :id AND status = 'running' AND run = :run",
            named_params! {
                ":id": id.to_sql(),
                ":run": run.as_str(),
                ":worker_id": worker_id.map(WorkerId::as_str),
                ":status": JobStatus::from(status).as_str(),
                ":error": error,
                ":now": now.unix_micros(),
            },
        )
    }

    /// Ends the job as cancelled if nobody has claimed it; whether it was this call that did.
    ///
    /// After `false`, ask [`request_cancel`](Self::request_cancel): it may have been claimed just before.
    pub fn cancel_queued(&self, id: JobId, now: Timestamp) -> Result<bool, JobBookError> {
        self.change(
            "UPDATE jobs SET status = 'cancelled', cancel_requested = 1, finished_at = :now \
             WHERE id = :id AND status = 'queued'",
            named_params! { ":id": id.to_sql(), ":now": now.unix_micros() },
        )
    }

    /// Ends as cancelled all jobs that the process `spawned_by` added and nobody has claimed; how many.
    pub fn cancel_all_queued_of(
        &self,
        spawned_by: &RunId,
        now: Timestamp,
    ) -> Result<usize, JobBookError> {
        let cancelled = self.write(|transaction| {
            let n_rows = transaction
                .prepare_cached(
                    "UPDATE jobs INDEXED BY jobs_in_line \
                     SET status = 'cancelled', cancel_requested = 1, finished_at = :now \
                     WHERE status = 'queued' AND spawned_by = :spawned_by",
                )?
                .execute(named_params! {
                    ":spawned_by": spawned_by.as_str(),
                    ":now": now.unix_micros(),
                })?;
            Ok(Some(n_rows))
        })?;
        Ok(cancelled.unwrap_or(0))
    }

    /// Asks the process that runs the job to end it; whether the job is running.
    ///
    /// How it ends is that process's to say: a worker that is done by then has its success.
    pub fn request_cancel(&self, id: JobId) -> Result<bool, JobBookError> {
        self.change(
            "UPDATE jobs SET cancel_requested = 1 WHERE id = :id AND status = 'running'",
            named_params! { ":id": id.to_sql() },
        )
    }

    /// Whether somebody asked for this job's end; also `false` for an unknown job.
    pub fn cancel_requested(&self, id: JobId) -> Result<bool, JobBookError> {
        let requested = self.read(|connection| {
            connection
                .prepare_cached("SELECT cancel_requested FROM jobs WHERE id = :id")?
                .query_row(named_params! { ":id": id.to_sql() }, |row| row.get(0))
                .optional()
        })?;
        Ok(requested.unwrap_or(false))
    }

    fn find(&self, sql: &str, params: &[(&str, &dyn ToSql)]) -> Result<Option<Job>, JobBookError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            statement.query_row(params, read_job).optional()
        })
    }

    /// Runs a statement that changes at most one job, and returns it.
    fn take(&self, sql: &str, params: &[(&str, &dyn ToSql)]) -> Result<Option<Job>, JobBookError> {
        self.write(|transaction| {
            let mut statement = transaction.prepare_cached(sql)?;
            statement.query_row(params, read_job).optional()
        })
    }

    /// Runs a statement that changes at most one row; whether it did.
    fn change(&self, sql: &str, params: &[(&str, &dyn ToSql)]) -> Result<bool, JobBookError> {
        let changed = self.write(|transaction| {
            let n_rows = transaction.prepare_cached(sql)?.execute(params)?;
            Ok(Some(n_rows > 0))
        })?;
        Ok(changed == Some(true))
    }

    fn read<T>(
        &self,
        body: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JobBookError> {
        body(&self.lock()).map_err(|source| JobBookError::from_sqlite(&self.path, source))
    }

    /// Runs `body` in a transaction that holds the write lock from its start; `None` or an error takes all of it back.
    ///
    /// The commit is a statement of its own because its failure counts: left to the end of a statement that returns a
    /// row, a full disk would go unseen.
    fn write<T>(
        &self,
        body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Option<T>, JobBookError> {
        in_transaction(&mut self.lock(), body)
            .map_err(|source| JobBookError::from_sqlite(&self.path, source))
    }

    /// A panic under the lock has rolled its transaction back, so the connection is as good as before.
    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_transaction<T>(
    connection: &mut Connection,
    body: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Option<T>>,
) -> rusqlite::Result<Option<T>> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let res = body(&transaction)?;
    if res.is_some() {
        transaction.commit()?;
    }
    Ok(res)
}

fn read_job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let status: String = row.get("status")?;
    let timestamp = |micros: Option<i64>| micros.map(Timestamp::from_unix_micros);
    Ok(Job {
        id: JobId::from_sql(row.get("id")?).map_err(|error| bad_value(Type::Integer, error))?,
        owner: row.get("owner")?,
        task: row.get("task")?,
        model: row.get("model")?,
        timeout: Duration::from_micros(
            u64::try_from(row.get::<_, i64>("timeout_us")?)
                .map_err(|error| bad_value(Type::Integer, error))?,
        ),
        status: status
            .parse()
            .map_err(|error| bad_value(Type::Text, error))?,
        worker_id: row
            .get::<_, Option<String>>("worker_id")?
            .map(WorkerId::from),
        spawned_by: row.get::<_, String>("spawned_by")?.into(),
        run: row.get::<_, Option<String>>("run")?.map(RunId::from),
        attempt: row.get("attempt")?,
        created_at: Timestamp::from_unix_micros(row.get("created_at")?),
        started_at: timestamp(row.get("started_at")?),
        finished_at: timestamp(row.get("finished_at")?),
        error: row.get("error")?,
        cancel_requested: row.get("cancel_requested")?,
    })
}

fn bad_value(kind: Type, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, kind, Box::new(error))
}

#[cfg(test)]
mod race_tests;
#[cfg(test)]
mod tests;
