//! Looking at a book without changing anything, not even its side files.

use std::{
    fmt::Write as _,
    fs, io,
    os::unix::ffi::OsStrExt as _,
    path::{self, Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};

use super::{
    JobBook, JobBookError,
    files::with_suffix,
    mend::{ASIDE, report_of},
    open,
};

/// What a sound book holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BookSummary {
    /// Jobs of all states.
    pub jobs: u64,
    /// Those that nobody has started.
    pub queued: u64,
    /// Those that somebody runs, or ran when their process died.
    pub running: u64,
}

/// A damaged book that was moved aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedBook {
    /// The file.
    pub path: PathBuf,
    /// What came back of it, as it was told then.
    pub report: Option<String>,
}

impl JobBook {
    /// Reads all of the book at `path`, changes nothing and makes nothing; `None` if there is none.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) for what is found.
    pub fn examine(path: &Path) -> Result<Option<BookSummary>, JobBookError> {
        if matches!(fs::metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        open::check_beginning(path)?;
        let path = &path::absolute(path).map_err(|it| JobBookError::not_writable(path, it))?;
        let fault = |source| JobBookError::from_sqlite(path, source);
        let connection = look_into(path).map_err(fault)?;
        let format = open::find_format(&connection, path)?;
        if format == 0 {
            return Ok(None);
        }
        open::check(&connection, path, format)?;
        let summary = connection.query_row(
            "SELECT count(*), count(*) FILTER (WHERE status = 'queued'),
                    count(*) FILTER (WHERE status = 'running') FROM jobs NOT INDEXED",
            [],
            |row| {
                Ok(BookSummary {
                    jobs: row.get::<_, i64>(0)?.cast_unsigned(),
                    queued: row.get::<_, i64>(1)?.cast_unsigned(),
                    running: row.get::<_, i64>(2)?.cast_unsigned(),
                })
            },
        );
        summary.map(Some).map_err(fault)
    }

    /// The damaged books that once stood at `path`, the oldest first.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn moved_aside(path: &Path) -> io::Result<Vec<MovedBook>> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(Vec::new());
        };
        let prefix = [name.as_bytes(), ASIDE.as_bytes()].concat();
        let mut moved = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().as_bytes();
            let is_book = name.starts_with(&prefix)
                && ![&b"-wal"[..], b"-shm", b"-journal", b".txt"]
                    .iter()
                    .any(|it| name.ends_with(it));
            if is_book {
                let report = fs::read_to_string(report_of(&path)).ok();
                let report = report.map(|it| it.trim().to_owned());
                moved.push(MovedBook { path, report });
            }
        }
        moved.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(moved)
    }
}

/// What is wrong with the SQLite file at `path`, whatever it is for; `None` if it is sound, or there is none. Changes nothing.
pub fn sqlite_fault(path: &Path) -> Option<String> {
    if !path.exists() {
        return None;
    }
    let look = || look_into(path).and_then(|it| open::quick_check(&it));
    match look() {
        Ok(fault) => fault,
        Err(error) => Some(error.to_string()),
    }
}

/// Opens a file for reading, without leaving anything beside it.
fn look_into(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    // Where there is no log, nobody has a book open: SQLite need not make one, nor leave it there.
    let is_still = !with_suffix(path, "-wal").exists();
    let connection = Connection::open_with_flags(uri(path, is_still), flags)?;
    connection.busy_timeout(open::BUSY_TIMEOUT)?;
    Ok(connection)
}

/// The path in the form that takes options.
fn uri(path: &Path, is_still: bool) -> String {
    let mut uri = "file://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                uri.push(char::from(*byte));
            }
            other => {
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri.push_str(if is_still { "?immutable=1" } else { "" });
    uri
}

#[cfg(test)]
mod tests;
