//! The file of the index: whose turn it is, and whether it is as its last writer left it.
//!
//! A writer *seals* the file: it sets the file's time of change to a whole second, which also stands in the file. Any
//! other write moves that time, be it by a writer that was killed half-way, by another program, or by a restored copy.
//! So a file whose seal is broken is not read but made anew, and there is nothing to roll back and no file beside it. A
//! power cut could leave the time and lose the content, so a file of another boot is made anew, too.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::OnceLock,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};

use super::settled::Stamp;
use crate::{
    disk::{Open, open_plain},
    liveness::Machine,
};

pub(super) const NAME: &str = "index.sqlite";
/// What SQLite may put beside a file. Ours has none of them; one that lies there could be taken for a part of it.
const BESIDE: [&str; 3] = [
    "index.sqlite-journal",
    "index.sqlite-wal",
    "index.sqlite-shm",
];
/// Counted up with every change of [`SCHEMA`] or of what its columns mean.
const FORMAT: i64 = 2;

// `names` is the stamp of the data directory that the names were read from; `dir` is the inode of a worker's directory,
// `second` what its name tells, `created_at` in microseconds, `stamp` that of the metadata.json that `json` was read from.
// A worker that is not settled has no status, and comes first in its second, as its time is not known.
// `first_end` and `last_end` are when its first and last call ended, in microseconds, where that is believed; `calls` is the
// stamp of the metrics.jsonl that they were read from, empty if it cannot be believed, NULL if nobody has looked yet.
// `odd` holds names that are no worker's in a list, but that whoever reads all calls meets: links, names not in UTF-8.
// SQLite reads this each time the file is opened, so there is nothing in it that need not be.
const SCHEMA: &str = "
CREATE TABLE state (format INTEGER, boot TEXT, seal INTEGER, names BLOB, is_full INTEGER);
CREATE TABLE worker (
id TEXT UNIQUE, dir INTEGER, second TEXT, created_at INTEGER, status TEXT, owner TEXT, stamp BLOB, json TEXT,
calls BLOB, first_end INTEGER, last_end INTEGER
);
CREATE TABLE odd (name BLOB);
CREATE INDEX by_time ON worker (second, created_at, id);
CREATE INDEX by_status ON worker (status, second, created_at, id);
CREATE INDEX by_owner ON worker (owner, second, created_at, id);
CREATE INDEX by_calls ON worker (last_end, first_end);
";

/// The index cannot be used now. Nobody is told why, as the directories know the answer, too.
#[derive(Debug)]
pub(super) struct Unusable;

impl<E: std::error::Error> From<E> for Unusable {
    fn from(_: E) -> Self {
        Self
    }
}

/// A turn at the index, among all threads and processes: a lock on the directory that it is in, as a lock file of its
/// own could be deleted too. The file itself cannot be locked: who waits for it may get one that is deleted.
#[derive(Debug)]
pub(crate) struct Lock {
    _dir: File,
    is_exclusive: bool,
}

impl Lock {
    /// A turn to read.
    pub(super) fn shared(own_dir: &Path, patience: Duration) -> Result<Self, Unusable> {
        Self::take(own_dir, patience, false)
    }

    /// A turn to write.
    pub(super) fn exclusive(own_dir: &Path, patience: Duration) -> Result<Self, Unusable> {
        Self::take(own_dir, patience, true)
    }

    fn take(own_dir: &Path, patience: Duration, is_exclusive: bool) -> Result<Self, Unusable> {
        let dir = File::open(own_dir)?;
        let deadline = Instant::now() + patience;
        loop {
            let locked = if is_exclusive {
                dir.try_lock()
            } else {
                dir.try_lock_shared()
            };
            match locked {
                Ok(()) => {
                    return Ok(Self {
                        _dir: dir,
                        is_exclusive,
                    });
                }
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(_) => return Err(Unusable),
            }
        }
    }
}

/// What the index says of itself.
pub(super) struct State {
    /// The data directory when its names were read; `None` if there may be more.
    pub(super) names: Option<Stamp>,
    /// Whether all that can be settled has once been.
    pub(super) is_full: bool,
}

/// An open index.
#[derive(Debug)]
pub(super) struct IndexFile {
    pub(super) connection: Connection,
    path: PathBuf,
    id: (u64, u64),
}

impl IndexFile {
    /// Opens the file that is there.
    pub(super) fn open(own_dir: &Path, _: &Lock) -> Result<Self, Unusable> {
        let path = own_dir.join(NAME);
        // SQLite would follow a link, and wait at a pipe.
        let found = look_at(&path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags)?;
        // Somebody may look into it with a program of his own.
        connection.busy_timeout(super::PATIENCE)?;
        Ok(Self {
            connection,
            path,
            id: (found.dev(), found.ino()),
        })
    }

    /// Makes an empty one in the place of whatever is there.
    pub(super) fn create(own_dir: &Path, lock: &Lock) -> Result<Self, Unusable> {
        for name in BESIDE.into_iter().chain([NAME]) {
            match fs::remove_file(own_dir.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Unusable),
                _ => {}
            }
        }
        // For its owner only. Closing it drops locks that connections of this process hold on it, but it has none yet.
        open_plain(&own_dir.join(NAME), Open::New)?;
        let mut index = Self::open(own_dir, lock)?;
        index.write(lock, |it| {
            it.execute_batch(SCHEMA)?;
            let state = "INSERT INTO state (format, boot, seal, is_full) VALUES (?1, ?2, 0, 0)";
            it.execute(state, (FORMAT, boot_id()))
        })?;
        Ok(index)
    }

    /// What it says of itself; an error if it is not the one that is there, not sealed, or not of today's form.
    pub(super) fn state(&self) -> Result<State, Unusable> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT format, boot, seal, names, is_full FROM state")?;
        let (format, boot, seal, state): (i64, Option<String>, i64, State) =
            statement.query_row([], |row| {
                let names = row.get_ref(3)?.as_blob_or_null()?;
                let state = State {
                    names: names.and_then(|it| Stamp::try_from(it).ok()),
                    is_full: row.get(4)?,
                };
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, state))
            })?;
        // After reading: SQLite may have mended something.
        let found = look_at(&self.path)?;
        let is_ours = (found.dev(), found.ino()) == self.id
            && (found.mtime(), found.mtime_nsec()) == (seal, 0)
            && format == FORMAT
            && boot.as_deref() == boot_id();
        if is_ours { Ok(state) } else { Err(Unusable) }
    }

    /// Changes it, all or nothing, and seals it.
    pub(super) fn write<T>(
        &mut self,
        lock: &Lock,
        change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, Unusable> {
        debug_assert!(lock.is_exclusive, "writing takes a turn to write");
        // What is not sealed is made anew, so nothing on the disk must be in order before the seal.
        self.connection
            .pragma_update_and_check(None, "journal_mode", "MEMORY", |_| Ok(()))?;
        let synchronous = match boot_id() {
            Some(_) => "OFF",
            None => "FULL", // Where nobody tells the boot, the disk must keep up.
        };
        self.connection
            .pragma_update(None, "synchronous", synchronous)?;
        let behavior = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behavior)?;
        let res = change(&transaction)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seal = now.map_or(0, |it| it.as_secs().cast_signed());
        transaction.execute("UPDATE state SET seal = ?1", [seal])?;
        transaction.commit()?;
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: seal,
                tv_nsec: 0,
            },
        };
        utimensat(CWD, &self.path, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)?;
        Ok(res)
    }
}

/// What is there, if it is a plain file with one name.
fn look_at(path: &Path) -> Result<fs::Metadata, Unusable> {
    let found = fs::symlink_metadata(path)?;
    if found.is_file() && found.nlink() == 1 {
        Ok(found)
    } else {
        Err(Unusable)
    }
}

/// This boot, asked for once, as it does not change.
fn boot_id() -> Option<&'static str> {
    static BOOT: OnceLock<Option<String>> = OnceLock::new();
    BOOT.get_or_init(|| Machine::this().boot_id).as_deref()
}

/// Notes which state of the data directory the names are of.
pub(super) fn set_names(it: &Transaction<'_>, stamp: Option<Stamp>) -> rusqlite::Result<()> {
    let stamp = stamp.as_ref().map(Stamp::bytes);
    it.execute("UPDATE state SET names = ?1", [stamp])?;
    Ok(())
}

/// Notes that all that can be settled has been.
pub(super) fn set_full(it: &Transaction<'_>) -> rusqlite::Result<()> {
    it.execute("UPDATE state SET is_full = 1", [])?;
    Ok(())
}
