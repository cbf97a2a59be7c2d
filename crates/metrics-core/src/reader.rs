//! Reading a whole `metrics.jsonl`, also while it grows.

use std::io::{self, BufRead};

use crate::{
    Event,
    decode::{Decoded, LineFault, decode},
};

/// The longest line a reader takes unless told otherwise, in bytes.
const MAX_LINE_BYTES: usize = 16 << 20;

/// Reads lines one by one; a line that cannot be used is reported and the next one read.
///
/// ```
/// use metrics_core::{EventReader, LineContent};
///
/// let file = b"{\"event\":\"tool_call\",\"tool\":\"ssh_exec\",\"start_ts\":\"2025-12-15T04:08:08.345678Z\",\
///     \"end_ts\":\"2025-12-15T04:08:09.456789Z\",\"duration_ms\":1111,\"success\":true}\nnot json\n";
/// let mut reader = EventReader::new(&file[..]);
/// let (mut total_ms, mut unusable) = (0, Vec::new());
/// while let Some(line) = reader.next_line()? {
///     match line.content {
///         LineContent::Event(event) => total_ms += event.time().duration_ms(),
///         LineContent::Unusable(fault) => unusable.push((line.number, fault.to_string())),
///         _ => {} // An event this version does not know.
///     }
/// }
/// assert_eq!(total_ms, 1111);
/// assert_eq!(unusable, [(2, "expected ident at column 2".to_owned())]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct EventReader<R> {
    input: R,
    /// The line being gathered: without its end, as far as it was there.
    buffer: Vec<u8>,
    /// Whether the line being gathered has outgrown the limit and only its end is looked for.
    skipping: bool,
    max_line_bytes: usize,
    number: u64,
    offset: u64,
    /// Bytes of the line being gathered, also those not kept.
    length: u64,
    /// Whether `buffer` holds a line that was handed out already.
    handed_out: bool,
}

/// One line and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// The line's number, from 1.
    pub number: u64,
    /// The byte offset of its first byte.
    pub offset: u64,
    /// What it says.
    pub content: LineContent<'a>,
}

/// What a [`Line`] says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every line is an event; boxing each would cost an allocation a line"
)]
pub enum LineContent<'a> {
    /// An event.
    Event(Event<'a>),
    /// An event this version does not know, by its name.
    Unknown(String),
    /// Nothing usable, and why.
    Unusable(LineFault),
}

impl<R: BufRead> EventReader<R> {
    /// A reader from the beginning of `input`.
    pub fn new(input: R) -> Self {
        Self {
            input,
            buffer: Vec::new(),
            skipping: false,
            max_line_bytes: MAX_LINE_BYTES,
            number: 0,
            offset: 0,
            length: 0,
            handed_out: false,
        }
    }

    /// Takes no line longer than `bytes`; memory stays within this bound. The default is 16 MiB.
    #[must_use]
    pub fn max_line_bytes(mut self, bytes: usize) -> Self {
        self.max_line_bytes = bytes;
        self
    }

    /// The next whole line, or `None` where no more is there yet.
    ///
    /// After `None` a file that has grown can be read on with the same reader. Blank lines are passed over.
    ///
    /// # Errors
    /// Only what reading `input` answers; no content is an error.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            if !self.gather()? {
                return Ok(None);
            }
            self.number += 1;
            self.handed_out = true;
            if self.skipping || !self.is_blank() {
                return Ok(Some(self.current()));
            }
        }
    }

    /// What stands after the last line end, read as a line: a last line that is whole is used, a torn one reported.
    pub fn unfinished(&mut self) -> Option<Line<'_>> {
        if self.handed_out || (self.is_blank() && !self.skipping) {
            return None;
        }
        let mut line = Line {
            number: self.number + 1,
            ..self.current()
        };
        if matches!(line.content, LineContent::Unusable(LineFault::Json(_))) {
            line.content = LineContent::Unusable(LineFault::Torn);
        }
        Some(line)
    }

    /// The input, for example to look at the file again.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.input
    }

    fn current(&self) -> Line<'_> {
        let content = if self.skipping {
            LineContent::Unusable(LineFault::TooLong {
                limit: self.max_line_bytes,
            })
        } else {
            match decode(without_bom(&self.buffer, self.offset)) {
                Ok(Decoded::Event(event)) => LineContent::Event(event),
                Ok(Decoded::Unknown(name)) => LineContent::Unknown(name),
                Err(fault) => LineContent::Unusable(fault),
            }
        };
        Line {
            number: self.number,
            offset: self.offset,
            content,
        }
    }

    fn is_blank(&self) -> bool {
        without_bom(&self.buffer, self.offset)
            .trim_ascii()
            .is_empty()
    }

    /// Gathers one line up to its end; false where the input ends before it.
    fn gather(&mut self) -> io::Result<bool> {
        if self.handed_out {
            self.offset += self.length;
            self.length = 0;
            self.buffer.clear();
            self.skipping = false;
            self.handed_out = false;
        }
        loop {
            let available = match self.input.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if available.is_empty() {
                return Ok(false);
            }
            let end = memchr::memchr(b'\n', available);
            let part = &available[..end.unwrap_or(available.len())];
            if !self.skipping && self.buffer.len() + part.len() > self.max_line_bytes {
                self.skipping = true;
                self.buffer = Vec::new();
            }
            if !self.skipping {
                self.buffer.extend_from_slice(part);
            }
            let consumed = part.len() + usize::from(end.is_some());
            self.length += consumed as u64;
            self.input.consume(consumed);
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

/// A byte order mark at the beginning of a file is no part of its first line.
fn without_bom(line: &[u8], offset: u64) -> &[u8] {
    match line.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) if offset == 0 => rest,
        _ => line,
    }
}
