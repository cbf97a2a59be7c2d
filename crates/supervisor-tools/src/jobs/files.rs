//! The files that a book consists of.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

/// The file of a book, and what SQLite keeps beside it: a log or a journal left there would be taken for part of
/// whatever book comes to stand in its place.
pub(super) fn beside(book: &Path) -> [PathBuf; 4] {
    ["", "-wal", "-shm", "-journal"].map(|it| with_suffix(book, it))
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Removes the file of a book and its side files.
pub(super) fn remove_book(book: &Path) -> io::Result<()> {
    for path in beside(book) {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// A new file that only its owner reads.
pub(super) fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}
