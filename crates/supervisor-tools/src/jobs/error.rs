//! What can go wrong with the book, by what a caller can do about it.

use std::{
    error::Error,
    io,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

/// Why the job book could not be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JobBookError {
    /// No file can be opened or written there.
    #[error(
        "cannot write the job book `{}`; it has to be a regular file in a directory that exists and is writable",
        path.display()
    )]
    NotWritable {
        /// The book.
        path: PathBuf,
        /// What the system said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Not an SQLite file, or a broken one.
    #[error(
        "`{}` is damaged or no job book; move it aside, with its `-wal` and `-shm` files, and a new one is made",
        path.display()
    )]
    Damaged {
        /// The book.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// Broken, and somebody still has it open, who may not have noticed.
    #[error(
        "the job book `{}` is damaged, and cannot be mended while another process has it open; \
         end the other programs that use this data directory, and try again",
        path.display()
    )]
    DamagedInUse {
        /// The book.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A sound SQLite file, but of another program.
    #[error(
        "`{}` is an SQLite file of another program; use another data directory, or move the file aside",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Written by a later version; it is left as it is.
    #[error(
        "the job book `{}` has format {found}, and this version knows up to {known}; \
         update triscope, or use another data directory",
        path.display()
    )]
    TooNew {
        /// The book.
        path: PathBuf,
        /// The format of the file.
        found: i64,
        /// The newest format that this version knows.
        known: i64,
    },
    /// Another connection kept its lock for longer than we wait.
    #[error("the job book `{}` was locked for 30 s; try again, and see which process holds it", path.display())]
    Busy {
        /// The book.
        path: PathBuf,
        /// What SQLite said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// All job numbers are given.
    #[error(
        "the job book `{}` has no number left after {}; move it aside, and the workers with so high a `job_id`",
        path.display(),
        super::JobId::MAX
    )]
    NoNumberLeft {
        /// The book.
        path: PathBuf,
    },
    /// Any other fault of the disk or of SQLite.
    #[error("failed to read or write the job book `{}`; see that its disk works and has room", path.display())]
    Access {
        /// The book.
        path: PathBuf,
        /// What SQLite said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl JobBookError {
    /// Whether the file has to be moved aside, and the book made anew, before anything works again.
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::DamagedInUse { .. })
    }

    /// What is wrong with a damaged book, without its name.
    pub(super) fn reason(&self) -> String {
        let cause = self.source().map(ToString::to_string);
        cause.unwrap_or_else(|| self.to_string())
    }

    /// The same for a book that others have open.
    pub(super) fn in_use(self) -> Self {
        match self {
            Self::Damaged { path, source } => Self::DamagedInUse { path, source },
            other => other,
        }
    }

    pub(super) fn not_writable(path: &Path, source: io::Error) -> Self {
        Self::NotWritable {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    pub(super) fn damaged(path: &Path, source: rusqlite::Error) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            source: source.into(),
        }
    }

    pub(super) fn from_sqlite(path: &Path, source: rusqlite::Error) -> Self {
        if let rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..) = source
        {
            return Self::damaged(path, source); // A row that we never wrote.
        }
        let code = source.sqlite_error_code();
        let (path, source) = (path.to_owned(), source.into());
        match code {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { path, source }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Busy { path, source }
            }
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::NotWritable { path, source }
            }
            _ => Self::Access { path, source },
        }
    }
}
