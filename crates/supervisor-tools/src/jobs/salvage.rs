//! Reading what can be read out of a damaged book. It works on a copy: the damaged file itself is not touched.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
};

use rusqlite::{Connection, OpenFlags};

use super::{
    Job, JobId,
    files::{beside, private, remove_book},
    open::{FORMAT, make_of_format},
    row::{COLUMNS_OF_FORMAT_1, columns, read_job},
};

/// Numbers that are tried one by one between two readable parts of the table.
const MAX_TRIES: usize = 100_000;
/// The size of SQLite's pages, which no book of ours changes; the first one holds the schema.
const PAGE_BYTES: usize = 4096;
/// Where the file's header counts its changes for the last time it noted the file's size.
const VERSION_VALID_FOR: usize = 92;

/// What a damaged book still said.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    pub(super) jobs: BTreeMap<JobId, Job>,
    /// The highest number it had given, where it still says so.
    pub(super) highest: Option<JobId>,
    /// Whether each row of the table could be read, so that a number without one has none.
    pub(super) is_complete: bool,
}

/// Reads the book at `path` through a copy at `copy`.
pub(super) fn salvage(path: &Path, copy: &Path) -> io::Result<Salvaged> {
    let res = copy_book(path, copy).and_then(|()| {
        let found = read(copy);
        if found.highest.is_some() || !found.jobs.is_empty() {
            return Ok(found);
        }
        // Nothing at all: perhaps only the file's beginning is broken. That is the same in every book of a format.
        let mut found = Salvaged::default();
        for format in (1..=FORMAT).rev() {
            let page = first_page(copy, format)?;
            copy_book(path, copy)?;
            let mut options = OpenOptions::new();
            options.write(true).open(copy)?.write_all(&page)?;
            found = read(copy);
            if found.highest.is_some() || !found.jobs.is_empty() {
                break;
            }
        }
        found.is_complete = false; // What the sizes were is not known any more.
        Ok(found)
    });
    remove_book(copy)?;
    res
}

fn read(copy: &Path) -> Salvaged {
    let mut found = Salvaged::default();
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(connection) = Connection::open_with_flags(copy, flags) else {
        return found;
    };
    let given = "SELECT seq FROM sqlite_sequence WHERE name = 'jobs'";
    let given = connection.query_row(given, [], |row| row.get(0));
    found.highest = given.ok().and_then(|it| JobId::from_sql(it).ok());

    // Past a broken page there is no way on; from the table's other end there may be.
    let forward = read_rows(&connection, "ORDER BY id", &mut found);
    found.is_complete = forward.is_whole;
    if !forward.is_at_end {
        let backward = read_rows(&connection, "ORDER BY id DESC", &mut found);
        let from = forward.last.map_or(1, |it| it.get() + 1);
        let last = found.highest.map(JobId::get);
        let to = backward.last.map(JobId::get).or(last.map(|it| it + 1));
        // What lies between two broken pages.
        for number in (from..to.unwrap_or(from)).take(MAX_TRIES) {
            read_rows(&connection, &format!("AND id = {number}"), &mut found);
        }
    }
    found
}

struct Scan {
    last: Option<JobId>,
    /// Whether no page was in the way.
    is_at_end: bool,
    /// Whether each row made sense, too.
    is_whole: bool,
}

fn read_rows(connection: &Connection, which: &str, found: &mut Salvaged) -> Scan {
    let mut scan = Scan {
        last: None,
        is_at_end: false,
        is_whole: true,
    };
    // Without an index, which could be what is broken.
    // A book that was never opened by this version lacks some columns.
    let mut prepared = [columns!(), COLUMNS_OF_FORMAT_1]
        .into_iter()
        .map(|columns| {
            connection.prepare(&format!(
                "SELECT {columns} FROM jobs NOT INDEXED WHERE TRUE {which}"
            ))
        });
    let Some(mut statement) = prepared.find_map(Result::ok) else {
        return scan;
    };
    let Ok(mut rows) = statement.query([]) else {
        return scan;
    };
    loop {
        match rows.next() {
            Ok(Some(row)) => match read_job(row) {
                Ok(job) => {
                    scan.last = Some(job.id);
                    found.jobs.insert(job.id, job);
                }
                Err(_) => scan.is_whole = false,
            },
            Ok(None) => {
                scan.is_at_end = true;
                return scan;
            }
            Err(_) => {
                scan.is_whole = false;
                return scan;
            }
        }
    }
}

/// Copies the file of a book and its side files.
fn copy_book(from: &Path, to: &Path) -> io::Result<()> {
    remove_book(to)?;
    for (from, to) in beside(from).into_iter().zip(beside(to)) {
        if !fs::symlink_metadata(&from).is_ok_and(|it| it.is_file()) {
            continue;
        }
        let mut target = private(&to)?;
        io::copy(&mut File::open(&from)?, &mut target)?;
    }
    Ok(())
}

/// The first page of a sound book, which is made at `path` and removed again.
fn first_page(path: &Path, format: i64) -> io::Result<Vec<u8>> {
    remove_book(path)?;
    let made = make_of_format(path, format).map_err(io::Error::other)?;
    made.close().map_err(|(_, error)| io::Error::other(error))?;
    let mut page = fs::read(path)?;
    page.truncate(PAGE_BYTES);
    // Makes SQLite look at the file's size, instead of trusting that of the sound one.
    page[VERSION_VALID_FOR] ^= 1;
    Ok(page)
}
