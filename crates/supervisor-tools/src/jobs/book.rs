//! The book itself: adding, claiming, ending, cancelling and finding jobs.

use std::{
    path::{self, Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use artifact_store::ArtifactStore;
use metrics_core::{Timestamp, WorkerId};
use rusqlite::{
    Connection, OptionalExtension, ToSql, Transaction, TransactionBehavior, named_params,
};

use super::{
    FinalStatus, Job, JobBookError, JobFilter, JobId, JobStatus, NewJob, Recovery, RunId,
    in_use::InUse,
    mend, open,
    row::{columns, read_job, settings_text, whole_micros},
};

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
const INSERT: &str = "INSERT INTO jobs (owner, task, model, timeout_us, status, spawned_by, created_at, shared, max_attempts, \
       settings, traceparent, parent_worker_id) \
     VALUES (:owner, :task, :model, :timeout_us, 'queued', :spawned_by, :now, :shared, :max_attempts, \
       :settings, :traceparent, :parent_worker_id)";

macro_rules! claim {
    ($which:literal) => {
        concat!(
            "UPDATE jobs SET status = 'running', run = :run, started_at = :now, attempt = attempt + 1, \
             worker_id = NULL WHERE status = 'queued' AND id = ", $which, " RETURNING ", columns!()
        )
    };
}
const CLAIM: &str = claim!(":id");
// `'queued'` stands in the text, not in a parameter: else SQLite could not use the index of what waits. The turn goes round by
// the owners' names: whose is next is found by looking for the first name above the last one, however many wait.
const CLAIM_NEXT: &str = claim!(
    "coalesce(\
      (SELECT id FROM jobs INDEXED BY jobs_to_take WHERE status = 'queued' AND shared = 1 \
         AND owner > (SELECT owner FROM turn) ORDER BY owner, id LIMIT 1), \
      (SELECT id FROM jobs INDEXED BY jobs_to_take WHERE status = 'queued' AND shared = 1 \
         ORDER BY owner, id LIMIT 1))"
);
const CLAIM_NEXT_OF: &str = claim!(
    "(SELECT id FROM jobs INDEXED BY jobs_to_take WHERE status = 'queued' AND shared = 1 \
        AND owner = :owner ORDER BY id LIMIT 1)"
);
/// The place of a job in the shared line: owners have turns, so what counts first is its place among its owner's own.
const PLACE_IN_SHARED_LINE: &str = "\
WITH line AS (SELECT id, row_number() OVER (PARTITION BY owner ORDER BY id) AS round, \
                     owner <= (SELECT owner FROM turn) AS had_turn, owner \
              FROM jobs INDEXED BY jobs_to_take WHERE status = 'queued' AND shared = 1) \
SELECT count(*) FROM line AS ahead, line AS this WHERE this.id = :id \
  AND (ahead.round, ahead.had_turn, ahead.owner) <= (this.round, this.had_turn, this.owner)";
const PLACE_IN_OWN_LINE: &str = "\
SELECT count(*) FROM jobs INDEXED BY jobs_in_line \
WHERE status = 'queued' AND shared = 0 AND spawned_by = :spawned_by AND id <= :id";

/// The jobs of one data directory, in one SQLite file that any number of processes share.
///
/// # Contract
/// - A change is on disk when its call returns, and happened wholly or not at all.
/// - One job is claimed by one process; its first final state stands.
/// - A number is never given twice, not even after its job is gone.
/// - Opening the book, and reading it, runs and changes no job.
/// - Calls block: for a commit's time, and at most for 30 s while other processes write.
/// - A damaged book of a store is mended, unless others have it open; see [`of_store`](Self::of_store).
#[derive(Debug)]
pub struct JobBook {
    path: PathBuf,
    /// Whose workers tell what a damaged book held; `None` leaves such a book alone.
    store: Option<ArtifactStore>,
    connection: Mutex<Connection>,
    recoveries: Mutex<Vec<Recovery>>,
    /// After the connection, which is to be closed before others may move the file.
    in_use: InUse,
}

/// A state of the book, as far as another connection's changes tell; see [`JobBook::version`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BookVersion(i64, usize);

impl JobBook {
    /// Opens the book at `path`, such as `<data>/.triscope/jobs.sqlite`; makes it, readable by its owner alone, if there
    /// is none.
    ///
    /// The directory has to exist. [`JobBookError::is_damaged`] tells a file that has to be moved aside.
    pub fn open(path: &Path) -> Result<Self, JobBookError> {
        // An absolute path also keeps SQLite from taking `:memory:` for a command.
        let path =
            path::absolute(path).map_err(|source| JobBookError::not_writable(path, source))?;
        Self::open_or_mend(path, None)
    }

    /// Opens `jobs.sqlite` in the store's own directory; makes it if there is none.
    ///
    /// - A new book, or one that lost all it held, takes over the jobs that the workers' metadata names, and goes on
    ///   above the highest number among them.
    /// - A damaged one, now or later, is moved aside. The new one gets the rows that can still be read, and from the
    ///   workers the jobs that were started; what waited in the queue waits on. [`recoveries`](Self::recoveries) tells.
    /// - That is not done while another process has the book open, nor to a file of another program or a later version.
    pub fn of_store(store: &ArtifactStore) -> Result<Self, JobBookError> {
        let path = Self::path_in(store);
        let path =
            path::absolute(&path).map_err(|source| JobBookError::not_writable(&path, source))?;
        let book = Self::open_or_mend(path, Some(store.clone()))?;
        // Whoever made the file may not have come this far, so the book is asked, not the directory.
        if book.is_unused()? {
            let changed = mend::last_change(store);
            let looked_at = book.read(mend::looked_at)?;
            if looked_at.is_none() || looked_at != changed {
                let taken_over = mend::take_over(&book.path, &mut book.lock(), store, changed)?;
                book.note(taken_over);
            }
        }
        Ok(book)
    }

    fn open_or_mend(path: PathBuf, store: Option<ArtifactStore>) -> Result<Self, JobBookError> {
        let in_use = InUse::shared(&path)?;
        let opened = if mend::is_half_mended(&path) {
            None
        } else {
            match open::open(&path) {
                Err(error) if error.is_damaged() => None,
                res => Some(res?),
            }
        };
        let (connection, recovery) = match opened {
            Some(connection) => (connection, None),
            None => mended(&path, store.as_ref(), &in_use)?,
        };
        mend::clean_up(&path);
        let book = Self {
            path,
            store,
            connection: Mutex::new(connection),
            recoveries: Mutex::default(),
            in_use,
        };
        book.note(recovery);
        Ok(book)
    }

    /// What this process found damaged or gone so far, and what came back.
    pub fn recoveries(&self) -> Vec<Recovery> {
        let recoveries = self.recoveries.lock();
        recoveries.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, recovery: Option<Recovery>) {
        let Some(recovery) = recovery else { return };
        tracing::warn!(
            jobs = recovery.from_book + recovery.from_workers,
            queued = recovery.queued,
            missing = recovery.missing,
            "{recovery}"
        );
        let recoveries = self.recoveries.lock();
        recoveries
            .unwrap_or_else(PoisonError::into_inner)
            .push(recovery);
    }

    /// Where the book of a store is, if it has one.
    pub fn path_in(store: &ArtifactStore) -> PathBuf {
        store.own_dir().join("jobs.sqlite")
    }

    /// Where the book is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down a task that the process `spawned_by` will run itself; returns its number once it is on disk.
    pub fn add(
        &self,
        job: &NewJob,
        spawned_by: &RunId,
        now: Timestamp,
    ) -> Result<JobId, JobBookError> {
        self.insert(job, spawned_by, now, false)
    }

    /// Writes down a task for whichever process takes it; returns its number once it is on disk.
    pub fn add_shared(
        &self,
        job: &NewJob,
        spawned_by: &RunId,
        now: Timestamp,
    ) -> Result<JobId, JobBookError> {
        self.insert(job, spawned_by, now, true)
    }

    /// Writes down a task that the process `run` begins at once; gives it as claimed, so that nobody else ever takes it.
    pub fn add_running(
        &self,
        job: &NewJob,
        run: &RunId,
        now: Timestamp,
    ) -> Result<Job, JobBookError> {
        let job = self.write(|transaction| {
            let Some(id) = insert(transaction, job, run, now, false)? else {
                return Ok(None);
            };
            let claimed = transaction.prepare_cached(CLAIM)?.query_row(
                named_params! { ":id": id.to_sql(), ":run": run.as_str(), ":now": now.unix_micros() },
                read_job,
            );
            claimed.map(Some)
        })?;
        job.ok_or_else(|| self.no_number_left())
    }

    fn insert(
        &self,
        job: &NewJob,
        spawned_by: &RunId,
        now: Timestamp,
        is_shared: bool,
    ) -> Result<JobId, JobBookError> {
        let number =
            self.write(|transaction| insert(transaction, job, spawned_by, now, is_shared))?;
        number.ok_or_else(|| self.no_number_left())
    }

    fn no_number_left(&self) -> JobBookError {
        JobBookError::NoNumberLeft {
            path: self.path.clone(),
        }
    }

    /// Sees to it that the next job's number is above `highest`, the highest in any worker's metadata.
    ///
    /// For a new book over workers that are there already.
    pub fn continue_above(&self, highest: JobId) -> Result<(), JobBookError> {
        self.write(|transaction| continue_above(transaction, highest).map(Some))?;
        Ok(())
    }

    /// Whether no job was ever added, so that [`continue_above`](Self::continue_above) may still have to be called.
    pub fn is_unused(&self) -> Result<bool, JobBookError> {
        self.read(is_unused)
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

    /// The job's place in its line, 1 for the next; `None` if it is not queued.
    ///
    /// In the shared line the owners have turns, so a new job of one who waits for little may stand before older ones. Jobs
    /// that their own process runs stand in a line of that process.
    pub fn queue_position(&self, id: JobId) -> Result<Option<u64>, JobBookError> {
        let place: Option<i64> = self.read(|connection| {
            let line: Option<(String, bool)> = connection
                .prepare_cached(
                    "SELECT spawned_by, shared FROM jobs WHERE id = :id AND status = 'queued'",
                )?
                .query_row(named_params! { ":id": id.to_sql() }, |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let Some((spawned_by, is_shared)) = line else {
                return Ok(None);
            };
            let place: i64 = if is_shared {
                connection
                    .prepare_cached(PLACE_IN_SHARED_LINE)?
                    .query_row(named_params! { ":id": id.to_sql() }, |row| row.get(0))?
            } else {
                connection.prepare_cached(PLACE_IN_OWN_LINE)?.query_row(
                    named_params! { ":id": id.to_sql(), ":spawned_by": spawned_by },
                    |row| row.get(0),
                )?
            };
            // 0 if it was claimed between the two questions.
            Ok(Some(place).filter(|it| *it > 0))
        })?;
        Ok(place.map(i64::cast_unsigned))
    }

    /// Makes the queued job a running one of the process `run`; whether this call did so.
    pub fn claim(&self, id: JobId, run: &RunId, now: Timestamp) -> Result<bool, JobBookError> {
        let (run, now) = (run.as_str(), now.unix_micros());
        let claimed = self.write(|transaction| {
            transaction
                .prepare_cached(CLAIM)?
                .query_row(
                    named_params! { ":id": id.to_sql(), ":run": run, ":now": now },
                    read_job,
                )
                .optional()
        })?;
        Ok(claimed.is_some())
    }

    /// Claims for `run` the next job of the shared line; with an `owner`, the oldest of theirs.
    ///
    /// The owners who wait have turns, and each one's oldest job is first. It costs the same however many wait.
    pub fn claim_next(
        &self,
        owner: Option<&str>,
        run: &RunId,
        now: Timestamp,
    ) -> Result<Option<Job>, JobBookError> {
        let (run, now) = (run.as_str(), now.unix_micros());
        self.write(|transaction| {
            let claimed = match owner {
                Some(owner) => transaction.prepare_cached(CLAIM_NEXT_OF)?.query_row(
                    named_params! { ":owner": owner, ":run": run, ":now": now },
                    read_job,
                ),
                None => transaction
                    .prepare_cached(CLAIM_NEXT)?
                    .query_row(named_params! { ":run": run, ":now": now }, read_job),
            };
            let claimed = claimed.optional()?;
            if let Some(job) = &claimed {
                transaction
                    .prepare_cached("UPDATE turn SET owner = :owner WHERE owner <> :owner")?
                    .execute(named_params! { ":owner": job.owner })?;
            }
            Ok(claimed)
        })
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

    /// Puts a job whose process `run` died, or gave it up, back into the shared line; whether it was this call that did. Not
    /// one that has had all its attempts, or that somebody wants to end.
    pub fn requeue(&self, id: JobId, run: &RunId) -> Result<bool, JobBookError> {
        self.change(
            "UPDATE jobs SET status = 'queued', shared = 1, run = NULL, started_at = NULL, worker_id = NULL \
             WHERE id = :id AND status = 'running' AND run = :run \
               AND attempt < max_attempts AND cancel_requested = 0",
            named_params! { ":id": id.to_sql(), ":run": run.as_str() },
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

    /// Ends as cancelled all jobs that the process `spawned_by` was to run itself and has not claimed; how many.
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
                     WHERE status = 'queued' AND shared = 0 AND spawned_by = :spawned_by",
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

    /// The running jobs of the process `run` that somebody wants to end.
    pub fn cancel_requests_of(&self, run: &RunId) -> Result<Vec<JobId>, JobBookError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id FROM jobs INDEXED BY jobs_running \
                 WHERE status = 'running' AND run = :run AND cancel_requested = 1",
            )?;
            let ids = statement.query_map(named_params! { ":run": run.as_str() }, |row| {
                row.get::<_, i64>(0)
            })?;
            let ids = ids.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(ids
                .into_iter()
                .filter_map(|it| JobId::from_sql(it).ok())
                .collect())
        })
    }

    /// The processes that run jobs, or died while they did.
    pub fn runs_with_jobs(&self) -> Result<Vec<RunId>, JobBookError> {
        self.runs(
            "SELECT DISTINCT run FROM jobs INDEXED BY jobs_running \
             WHERE status = 'running' AND run IS NOT NULL",
            &[],
        )
    }

    /// The running jobs of the process `run`.
    pub fn running_of(&self, run: &RunId) -> Result<Vec<Job>, JobBookError> {
        const SQL: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM jobs INDEXED BY jobs_running WHERE status = 'running' AND run = :run ORDER BY id"
        );
        self.read(|connection| {
            let mut statement = connection.prepare_cached(SQL)?;
            let jobs = statement.query_map(named_params! { ":run": run.as_str() }, read_job)?;
            jobs.collect()
        })
    }

    /// The processes that have jobs in a line of their own.
    pub fn runs_with_lines(&self) -> Result<Vec<RunId>, JobBookError> {
        self.runs(
            "SELECT DISTINCT spawned_by FROM jobs INDEXED BY jobs_in_line \
             WHERE status = 'queued' AND shared = 0",
            &[],
        )
    }

    /// Moves what the process `spawned_by` was to run itself into the shared line; how many jobs.
    pub fn share_line_of(&self, spawned_by: &RunId) -> Result<usize, JobBookError> {
        let moved = self.write(|transaction| {
            let n_rows = transaction
                .prepare_cached(
                    "UPDATE jobs INDEXED BY jobs_in_line SET shared = 1 \
                     WHERE status = 'queued' AND shared = 0 AND spawned_by = :spawned_by",
                )?
                .execute(named_params! { ":spawned_by": spawned_by.as_str() })?;
            Ok(Some(n_rows))
        })?;
        Ok(moved.unwrap_or(0))
    }

    /// Says that the process `run` takes jobs from the shared line; with an `owner`, theirs alone.
    pub fn add_taker(&self, run: &RunId, owner: Option<&str>) -> Result<(), JobBookError> {
        // Said again and again, as a book that was mended does not know it; that shall cost no commit.
        let is_known: bool = self.read(|connection| {
            connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM takers WHERE run = :run)")?
                .query_row(named_params! { ":run": run.as_str() }, |row| row.get(0))
        })?;
        if !is_known {
            self.change(
                "INSERT OR IGNORE INTO takers (run, owner) VALUES (:run, :owner)",
                named_params! { ":run": run.as_str(), ":owner": owner },
            )?;
        }
        Ok(())
    }

    /// Says that the process `run` takes no more jobs.
    pub fn remove_taker(&self, run: &RunId) -> Result<(), JobBookError> {
        let run = named_params! { ":run": run.as_str() };
        self.change("DELETE FROM takers WHERE run = :run", run)?;
        Ok(())
    }

    /// The processes that said they take jobs; with an `owner`, also theirs. They may have died since.
    pub fn takers(&self, owner: Option<&str>) -> Result<Vec<RunId>, JobBookError> {
        self.runs(
            "SELECT run FROM takers WHERE :owner IS NULL OR owner IS NULL OR owner = :owner",
            named_params! { ":owner": owner },
        )
    }

    /// The jobs that were begun more than once, or will be, and the number of the last attempt or the next.
    pub fn repeated(&self) -> Result<Vec<(JobId, u32)>, JobBookError> {
        let rows = self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, attempt + (status = 'queued') FROM jobs INDEXED BY jobs_repeated \
                 WHERE attempt + (status = 'queued') > 1",
            )?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<rusqlite::Result<Vec<(i64, u32)>>>()
        })?;
        let rows = rows.into_iter();
        Ok(rows
            .filter_map(|(id, attempt)| Some((JobId::from_sql(id).ok()?, attempt)))
            .collect())
    }

    /// Differs from what it was before once another connection has changed the book. Costs next to nothing.
    pub fn version(&self) -> Result<BookVersion, JobBookError> {
        let data_version = self.read(|connection| {
            connection
                .prepare_cached("PRAGMA data_version")?
                .query_row([], |row| row.get(0))
        })?;
        // A mended book has a new connection, which counts from the beginning.
        let recoveries = self.recoveries.lock();
        let recoveries = recoveries.unwrap_or_else(PoisonError::into_inner).len();
        Ok(BookVersion(data_version, recoveries))
    }

    fn runs(&self, sql: &str, params: &[(&str, &dyn ToSql)]) -> Result<Vec<RunId>, JobBookError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let runs = statement.query_map(params, |row| row.get::<_, String>(0))?;
            runs.map(|it| it.map(RunId::from)).collect()
        })
    }

    fn find(&self, sql: &str, params: &[(&str, &dyn ToSql)]) -> Result<Option<Job>, JobBookError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
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
        body: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JobBookError> {
        self.mending(|connection| body(connection))
    }

    /// Runs `body` in a transaction that holds the write lock from its start; `None` or an error takes all of it back.
    ///
    /// The commit is a statement of its own because its failure counts: left to the end of a statement that returns a
    /// row, a full disk would go unseen.
    fn write<T>(
        &self,
        body: impl Fn(&Transaction<'_>) -> rusqlite::Result<Option<T>>,
    ) -> Result<Option<T>, JobBookError> {
        self.mending(|connection| in_transaction(connection, &body))
    }

    /// Runs `body`; where the book turns out to be damaged, mends it and runs `body` once more.
    fn mending<T>(
        &self,
        body: impl Fn(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JobBookError> {
        let mut connection = self.lock();
        let fault = |source| JobBookError::from_sqlite(&self.path, source);
        let error = match body(&mut connection).map_err(fault) {
            Err(error) if error.is_damaged() && self.store.is_some() => error,
            res => return res,
        };
        // What is still in the log shall not be written into the broken file when this connection goes.
        open::leave_alone(&connection).map_err(fault)?;
        match mended(&self.path, self.store.as_ref(), &self.in_use) {
            Ok((fresh, recovery)) => {
                *connection = fresh;
                self.note(recovery);
            }
            Err(again) if again.is_damaged() => return Err(again),
            Err(again) => {
                tracing::error!(error = %again, "cannot mend the job book");
                // Reading the file to copy it took SQLite's locks from the connection that there was.
                if let Ok(fresh) = open::open(&self.path) {
                    *connection = fresh;
                }
                return Err(error);
            }
        }
        body(&mut connection).map_err(fault)
    }

    /// A panic under the lock has rolled its transaction back, so the connection is as good as before.
    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a damaged book once it is mended: by this process, which then has something to tell, or by another one that was
/// faster.
fn mended(
    path: &Path,
    store: Option<&ArtifactStore>,
    in_use: &InUse,
) -> Result<(Connection, Option<Recovery>), JobBookError> {
    let alone = in_use.alone(path, || {
        if mend::is_half_mended(path) {
            mend::finish(path)?;
        }
        // A page in the middle is not looked at by opening the book.
        match (open::open_checked(path), store) {
            (Err(error), Some(store)) if error.is_damaged() => {
                let recovery = mend::mend(path, store, error.reason())?;
                Ok((open::open(path)?, Some(recovery)))
            }
            (res, _) => Ok((res?, None)),
        }
    })?;
    match alone {
        Some(mended) => Ok(mended),
        // Others had it open: either one of them has mended it, or they have to let go of it.
        None => match open::open_checked(path) {
            Ok(connection) => Ok((connection, None)),
            Err(error) => Err(error.in_use()),
        },
    }
}

/// Adds a queued job; gives its number, if there is one left for it.
fn insert(
    transaction: &Transaction<'_>,
    job: &NewJob,
    spawned_by: &RunId,
    now: Timestamp,
    is_shared: bool,
) -> rusqlite::Result<Option<JobId>> {
    transaction.prepare_cached(INSERT)?.execute(named_params! {
        ":owner": job.owner,
        ":task": job.task,
        ":model": job.model,
        ":timeout_us": whole_micros(job.timeout),
        ":spawned_by": spawned_by.as_str(),
        ":now": now.unix_micros(),
        ":shared": is_shared,
        ":max_attempts": job.max_attempts.max(1),
        ":settings": settings_text(&job.settings),
        ":traceparent": job.traceparent,
        ":parent_worker_id": job.parent_worker_id.as_ref().map(WorkerId::as_str),
    })?;
    // Refused before the commit, so that a number out of range leaves no job behind.
    Ok(JobId::from_sql(transaction.last_insert_rowid()).ok())
}

pub(super) fn is_unused(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT seq = 0 FROM sqlite_sequence WHERE name = 'jobs'")?
        .query_row([], |row| row.get(0))
}

pub(super) fn continue_above(connection: &Connection, highest: JobId) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE sqlite_sequence SET seq = max(seq, :highest) WHERE name = 'jobs'")?
        .execute(named_params! { ":highest": highest.to_sql() })?;
    Ok(())
}

pub(super) fn in_transaction<T>(
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

#[cfg(test)]
mod race_tests;
#[cfg(test)]
mod tests;
