//! What came of a book that was damaged or gone.

use std::{fmt, path::PathBuf};

/// What came back of a book that was damaged or gone. Its text is one line, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Recovery {
    /// The book.
    pub book: PathBuf,
    /// What was wrong with it.
    pub reason: String,
    /// Where the damaged file is now, with what SQLite kept beside it; `None` if there was nothing to keep.
    pub moved_to: Option<PathBuf>,
    /// Jobs that the damaged book still told.
    pub from_book: usize,
    /// Of all jobs that are back, those that wait to be run, as they did before.
    pub queued: usize,
    /// Jobs that are known from their workers alone.
    pub from_workers: usize,
    /// Numbers up to the highest one that have neither a readable row nor a worker; 0 if all rows could be read.
    pub missing: u64,
    /// The highest number that had been given; the next is above it.
    pub highest: u64,
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let book = self.book.display();
        match &self.moved_to {
            Some(moved_to) => write!(
                f,
                "the job book `{book}` was damaged ({}) and was moved to `{}`; a new one was made",
                self.reason,
                moved_to.display()
            )?,
            None => write!(
                f,
                "the job book `{book}` was missing or empty; a new one was made"
            )?,
        }
        write!(
            f,
            ". {} came back",
            Count(self.from_book + self.from_workers, "job")
        )?;
        if self.moved_to.is_some() {
            write!(
                f,
                ": {} from the old book, {} from their workers; of these {} wait in the queue",
                self.from_book, self.from_workers, self.queued
            )?;
        } else {
            f.write_str(" from their workers")?;
        }
        if self.missing > 0 {
            write!(
                f,
                ". Without a worker or a readable row: {} up to {}, which are queued jobs that are lost, or jobs that had \
                 been removed. Spawn again what is missed",
                Count(self.missing, "number"),
                self.highest
            )?;
        }
        f.write_str(".")
    }
}

/// `1 job`, `2 jobs`.
struct Count<N>(N, &'static str);

impl<N: fmt::Display + PartialEq + From<u8>> fmt::Display for Count<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0 == N::from(1) { "" } else { "s" };
        write!(f, "{} {}{plural}", self.0, self.1)
    }
}
