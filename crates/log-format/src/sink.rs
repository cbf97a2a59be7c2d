//! Where lines end up: the trait, and standard error. The file has a module of its own.

mod file;

use std::io::{self, Write as _};

pub use crate::sink::file::FileSink;

/// Takes bytes on behalf of the log thread. Backends implement this; programs use
/// [`LogBuilder`](crate::LogBuilder).
///
/// # Contract
/// - Called on one thread only, which may wait: a call that blocks stalls no event.
/// - The writer of this crate puts whole lines together; a sink only reports what it took.
/// - A panic is taken as a failed write.
pub trait LineSink: Send + 'static {
    /// Called before a batch of lines and after a failure; the place to reopen what has moved.
    ///
    /// `mid_line` says whether our own last write ended in the middle of a line. The answer says
    /// whether the sink does so now; if true, the next line is preceded by `\n`.
    fn prepare(&mut self, mid_line: bool) -> io::Result<bool> {
        Ok(mid_line)
    }

    /// Appends `bytes` by one system call and answers how many were taken.
    ///
    /// [`Interrupted`](io::ErrorKind::Interrupted) and [`WouldBlock`](io::ErrorKind::WouldBlock) are
    /// tried again, the latter after a pause; any other error drops the line.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

impl LineSink for Box<dyn LineSink> {
    fn prepare(&mut self, mid_line: bool) -> io::Result<bool> {
        (**self).prepare(mid_line)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (**self).append(bytes)
    }
}

/// Standard error. A closed one is a failed write, never a panic.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct StderrSink;

impl StderrSink {
    /// The process's standard error.
    pub fn new() -> Self {
        Self
    }
}

impl LineSink for StderrSink {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().write(bytes)
    }
}
