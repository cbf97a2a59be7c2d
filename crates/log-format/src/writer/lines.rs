//! Keeps lines whole on a sink that takes half of them, fails, or panics.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use crate::sink::LineSink;

/// The first and the longest pause after `WouldBlock`.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// A line that ends in a space is none of this format: else a number that lost digits would pass for a smaller one.
const END_OF_HALF_LINE: &[u8] = b" \n";

pub(super) struct LineWriter<S> {
    sink: S,
    /// Whether the last byte the sink took was not `\n`.
    mid_line: bool,
    /// Whether the sink was prepared and has not failed since.
    prepared: bool,
    /// The end of a half line and a line, for one write.
    repaired: Vec<u8>,
}

impl<S: LineSink> LineWriter<S> {
    pub(super) fn new(sink: S) -> Self {
        Self {
            sink,
            mid_line: false,
            prepared: false,
            repaired: Vec::new(),
        }
    }

    pub(super) fn begin_batch(&mut self) {
        self.prepared = false;
    }

    /// Writes a line, by one write if the sink takes it whole.
    ///
    /// After an error a part of it may stand in the sink; the next line starts on a line of its own.
    pub(super) fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let res = self.try_write_line(line);
        self.prepared &= res.is_ok();
        res
    }

    fn try_write_line(&mut self, line: &[u8]) -> io::Result<()> {
        if !self.prepared {
            let mid_line = self.mid_line;
            self.mid_line = self.no_panic(|sink| sink.prepare(mid_line))?;
            self.prepared = true;
        }
        if !self.mid_line {
            return self.append_all(line);
        }
        let mut repaired = std::mem::take(&mut self.repaired);
        repaired.clear();
        repaired.extend_from_slice(END_OF_HALF_LINE);
        repaired.extend_from_slice(line);
        let res = self.append_all(&repaired);
        self.repaired = repaired;
        res
    }

    fn append_all(&mut self, mut rest: &[u8]) -> io::Result<()> {
        let mut pause = PAUSES.0;
        while !rest.is_empty() {
            match self.no_panic(|sink| sink.append(rest)) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(len) => {
                    let len = len.min(rest.len());
                    self.mid_line = rest[len - 1] != b'\n';
                    rest = &rest[len..];
                    pause = PAUSES.0;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    thread::sleep(pause);
                    pause = PAUSES.1.min(pause * 2);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn no_panic<T>(&mut self, call: impl FnOnce(&mut S) -> io::Result<T>) -> io::Result<T> {
        catch_unwind(AssertUnwindSafe(|| call(&mut self.sink))).unwrap_or_else(|payload| {
            std::mem::forget(payload); // Its drop is foreign code too, and may panic.
            Err(io::Error::other("the sink panicked"))
        })
    }
}
