//! Opening the file of the book: making it, telling it from other files, bringing it to today's format.

use std::{
    fs::{self, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig};

use super::{
    JobBookError,
    files::with_suffix,
    row::{COLUMNS_OF_FORMAT_1, columns, read_job},
};

/// How long a call waits for another connection's lock. Turns are not fair, and each takes a wait for the disk: with many
/// processes at a slow disk, one has waited longer than 5 s.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// The format that [`STEPS`] lead to, kept as `user_version`. A step up gets a migration there, never one down.
pub(super) const FORMAT: i64 = 2;
/// `application_id` of the file: `tJob`.
const APPLICATION_ID: i64 = 0x744a_6f62;

/// What leads from each format to the next, from an empty file on. A new book takes them all, so that its pages lie as in an
/// old one that was brought up to date: a damaged book may be read by the first page of a new one.
const STEPS: [&str; 2] = [SCHEMA, SHARED_LINE];

// SQLite ends every index with the row's `id`, so each one is in the order of the numbers too.
// `owner` stands before `task`, so that telling whose a job is never reads a long task. `jobs_in_line` holds only what
// waits: it stays small, and its first entry is the next job of a process however long the line is. The row in
// `sqlite_sequence` is made here so that `JobBook::continue_above` can count on it.
const SCHEMA: &str = "
CREATE TABLE jobs (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    owner            TEXT NOT NULL,
    status           TEXT NOT NULL
        CHECK (status IN ('queued', 'running', 'success', 'failed', 'timeout', 'cancelled')),
    worker_id        TEXT,
    spawned_by       TEXT NOT NULL,
    run              TEXT,
    attempt          INTEGER NOT NULL DEFAULT 0,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    created_at       INTEGER NOT NULL,
    started_at       INTEGER,
    finished_at      INTEGER,
    timeout_us       INTEGER NOT NULL,
    model            TEXT,
    error            TEXT,
    task             TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_by_status ON jobs (status);
CREATE INDEX jobs_by_owner ON jobs (owner);
CREATE INDEX jobs_by_worker ON jobs (worker_id, owner);
CREATE INDEX jobs_in_line ON jobs (spawned_by) WHERE status = 'queued';
INSERT INTO sqlite_sequence (name, seq) VALUES ('jobs', 0);
";

// `jobs_in_line` now holds only what its own process runs, `jobs_to_take` what any process may take that was started to do so:
// a claim looks at one entry, the first of the owner whose turn it is. `turn` says who had the last one.
const SHARED_LINE: &str = "
ALTER TABLE jobs ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN max_attempts INTEGER NOT NULL DEFAULT 1;
ALTER TABLE jobs ADD COLUMN settings TEXT;
ALTER TABLE jobs ADD COLUMN traceparent TEXT;
ALTER TABLE jobs ADD COLUMN parent_worker_id TEXT;
DROP INDEX jobs_in_line;
CREATE INDEX jobs_in_line ON jobs (spawned_by) WHERE status = 'queued' AND shared = 0;
CREATE INDEX jobs_to_take ON jobs (owner) WHERE status = 'queued' AND shared = 1;
CREATE INDEX jobs_running ON jobs (run, cancel_requested) WHERE status = 'running';
CREATE INDEX jobs_repeated ON jobs (id) WHERE attempt + (status = 'queued') > 1;
CREATE TABLE turn (owner TEXT NOT NULL) STRICT;
INSERT INTO turn VALUES ('');
CREATE TABLE takers (run TEXT PRIMARY KEY, owner TEXT) STRICT, WITHOUT ROWID;
";

/// One opening at a time in this process; see [`create`].
static OPENING: Mutex<()> = Mutex::new(());

/// Opens the book at `path`, an absolute path; makes it if there is none.
pub(super) fn open(path: &Path) -> Result<Connection, JobBookError> {
    let _one_at_a_time = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
    create(path).map_err(|source| JobBookError::not_writable(path, source))?;
    let fault = |source| JobBookError::from_sqlite(path, source);
    check_beginning(path)?;
    // Without the URI flag, a `?` or a `file:` in the path is just a name.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
    // More than there are statements.
    connection.set_prepared_statement_cache_capacity(64);
    leave_alone(&connection).map_err(fault)?; // Until it is known to be sound.
    // SQLite quietly opens a file for reading alone when it may not write.
    if connection.is_readonly("main").map_err(fault)? {
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        return Err(JobBookError::not_writable(path, source));
    }
    // First of all, so that nothing is changed in a file that is not ours.
    let found = find_format(&connection, path)?;
    write_ahead(&connection).map_err(fault)?;
    if found != FORMAT {
        migrate(&mut connection, path, FORMAT)?;
    }
    // A format that promises these columns and has none of them is damage too.
    if let Err(source) = connection.prepare(super::book::SELECT_ANY) {
        let error = fault(source);
        return Err(match error {
            JobBookError::Access { path, source } => JobBookError::Damaged { path, source },
            other => other,
        });
    }
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(fault)?;
    Ok(connection)
}

/// Makes a book without jobs at `path`, where no file is yet, all of it in that one file.
pub(super) fn make(path: &Path) -> Result<Connection, JobBookError> {
    make_of_format(path, FORMAT)
}

/// The same in an older format.
pub(super) fn make_of_format(path: &Path, format: i64) -> Result<Connection, JobBookError> {
    create(path).map_err(|source| JobBookError::not_writable(path, source))?;
    let fault = |source| JobBookError::from_sqlite(path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(fault)?;
    migrate(&mut connection, path, format)?;
    Ok(connection)
}

/// Opens a book that is suspected of being damaged: all its pages and rows are read.
pub(super) fn open_checked(path: &Path) -> Result<Connection, JobBookError> {
    let connection = open(path)?;
    if let Err(error) = check(&connection, path, FORMAT) {
        let _ = leave_alone(&connection);
        return Err(error);
    }
    Ok(connection)
}

/// Reads all that the file of this format holds.
pub(super) fn check(connection: &Connection, path: &Path, format: i64) -> Result<(), JobBookError> {
    let fault = |source| JobBookError::from_sqlite(path, source);
    match quick_check(connection).map_err(fault)? {
        None => rows_make_sense(connection, format).map_err(fault),
        Some(found) => Err(JobBookError::Damaged {
            path: path.to_owned(),
            source: found.into(),
        }),
    }
}

/// Reads all pages; what is wrong with the first that does not fit.
pub(super) fn quick_check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let sql = "PRAGMA quick_check(1)";
    let found: String = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(Some(found).filter(|it| it != "ok"))
}

/// Whether each row is one that we could have written.
fn rows_make_sense(connection: &Connection, format: i64) -> rusqlite::Result<()> {
    let columns = match format {
        1 => COLUMNS_OF_FORMAT_1,
        _ => columns!(),
    };
    // By the table alone.
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM jobs NOT INDEXED"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        read_job(row)?;
    }
    Ok(())
}

/// Keeps the connection's end from writing the log into the file, as the last one's else does.
pub(super) fn leave_alone(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// SQLite takes an empty file for a new database, and would throw away a log beside it.
pub(super) fn check_beginning(path: &Path) -> Result<(), JobBookError> {
    let len = |path: &Path| fs::metadata(path).map_or(0, |it| it.len());
    if len(path) == 0 && len(&with_suffix(path, "-wal")) > 0 {
        return Err(JobBookError::Damaged {
            path: path.to_owned(),
            source: "the file is empty, and its write-ahead log is not".into(),
        });
    }
    Ok(())
}

/// Makes an empty file that only its owner reads: tasks and errors may hold what others must not see. SQLite gives its
/// side files the same mode.
///
/// An existing file is never opened here: closing it again would drop the POSIX locks that SQLite connections of this
/// process hold on it. A new one has no connections yet, and [`OPENING`] keeps it so until it is closed.
fn create(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(()),
        // A FIFO or a device would hang or mislead SQLite.
        Ok(_) => return Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.exists() => Ok(()),
        res => res.map(drop),
    }
}

/// The format of the file, 0 for an empty one.
pub(super) fn find_format(connection: &Connection, path: &Path) -> Result<i64, JobBookError> {
    let (format, application_id, tables): (i64, i64, i64) = connection
        .query_row(
            "SELECT (SELECT user_version FROM pragma_user_version),
                    (SELECT application_id FROM pragma_application_id),
                    (SELECT count(*) FROM sqlite_schema)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(|source| JobBookError::from_sqlite(path, source))?;
    let path = path.to_owned();
    match (format, application_id) {
        (0, 0) if tables == 0 => Ok(0),
        (1..=FORMAT, APPLICATION_ID) => Ok(format),
        (_, APPLICATION_ID) if format > FORMAT => Err(JobBookError::TooNew {
            path,
            found: format,
            known: FORMAT,
        }),
        _ => Err(JobBookError::Foreign { path }),
    }
}

/// Sets how the file is written: the write-ahead log lets readers go on while another process writes, and every commit
/// waits for the disk. That is what `spawn_worker` promises, and a claim that a power cut took back would run a job
/// twice. With a few commits for a job of seconds, no step is worth a weaker rule.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        // Of several processes that switch a new file at once, SQLite turns some away without waiting. A file system
        // without shared memory keeps the old mode, which is as safe.
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(2));
            }
            res => return res,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}

/// Brings an older file, or an empty one, to `format`, unless another process has done so meanwhile.
fn migrate(connection: &mut Connection, path: &Path, format: i64) -> Result<(), JobBookError> {
    let fault = |source| JobBookError::from_sqlite(path, source);
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(fault)?;
    let found = find_format(&transaction, path)?;
    for (step, to) in STEPS.iter().zip(1..=format) {
        if to > found {
            transaction.execute_batch(step).map_err(fault)?;
        }
    }
    let format = format.max(found);
    for (pragma, value) in [("application_id", APPLICATION_ID), ("user_version", format)] {
        transaction
            .pragma_update(None, pragma, value)
            .map_err(fault)?;
    }
    transaction.commit().map_err(fault)
}

#[cfg(test)]
mod tests;
