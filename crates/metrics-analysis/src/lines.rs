//! Reads a part of a source line by line, into a buffer that stays small.

use std::io::{self, Read};

use metrics_core::{Decoded, LineFault, decode};

use crate::{
    fast::{FastLogReader, FastReader},
    log_line::{LogContent, ends_whole, read_carefully},
    record::Record,
};

/// Fits into a core's own cache, so that a line is still there when it is read.
const BUFFER_BYTES: usize = 256 << 10;
/// A longer line is counted and passed over.
pub(crate) const MAX_LINE_BYTES: usize = 4 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What a line is to us.
pub(crate) enum Line<'a> {
    Call(&'a Record<'a>),
    /// An event of another version.
    Unknown,
    /// A log line about something else.
    OtherLog,
    /// Nothing usable, and why.
    Unusable(String),
}

/// Reads lines; one a thread, as it keeps its buffer.
#[derive(Debug)]
pub(crate) struct LineReader {
    buffer: Vec<u8>,
    fast: FastReader,
    fast_log: FastLogReader,
}

/// Which lines of a source to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    /// The first byte; a line that began before it is somebody else's.
    pub(crate) from: u64,
    /// Lines that begin here or later are somebody else's.
    pub(crate) to: u64,
}

impl Range {
    pub(crate) const ALL: Self = Self {
        from: 0,
        to: u64::MAX,
    };
}

/// How the reading of a part went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartRead {
    /// Lines, blank ones too.
    pub(crate) lines: u64,
    /// The byte behind the last one.
    pub(crate) end: u64,
}

impl Default for LineReader {
    fn default() -> Self {
        Self::with_buffer(BUFFER_BYTES)
    }
}

impl LineReader {
    /// A buffer that begins so small; it grows with a long line.
    pub(crate) fn with_buffer(bytes: usize) -> Self {
        Self {
            buffer: vec![0; bytes],
            fast: FastReader::default(),
            fast_log: FastLogReader::default(),
        }
    }

    /// Hands the lines of `range` to `take`, with their numbers from 1: by reference, as reading what was just moved there in
    /// other pieces takes a processor longer than all else that is done with most of them. `input` begins one byte before the
    /// range, if there is one: whether a line begins at its first byte is only seen there.
    pub(crate) fn read(
        &mut self,
        input: &mut impl Read,
        range: Range,
        mut take: impl FnMut(u64, &Line<'_>),
    ) -> io::Result<PartRead> {
        let Self {
            buffer,
            fast,
            fast_log,
        } = self;
        // Where the buffer begins in the source, what of it is filled, and where the next line begins.
        let (mut base, mut filled, mut at) = (range.from.saturating_sub(1), 0, 0);
        let mut lines = 0;
        // Looking for the end of a line that is not read.
        let mut skipping = range.from > 0;
        loop {
            if at > 0 {
                buffer.copy_within(at..filled, 0);
                (base, filled, at) = (base + at as u64, filled - at, 0);
            }
            if filled == buffer.len() {
                if filled > MAX_LINE_BYTES {
                    lines += 1;
                    let fault = LineFault::TooLong {
                        limit: MAX_LINE_BYTES,
                    };
                    take(lines, &Line::Unusable(fault.to_string()));
                    skipping = true;
                    shrink(buffer);
                    (base, filled) = (base + filled as u64, 0);
                } else {
                    buffer.resize((2 * filled).min(MAX_LINE_BYTES + 1), 0);
                }
            }
            let read = match input.read(&mut buffer[filled..]) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    shrink(buffer);
                    return Err(error);
                }
            };
            filled += read;
            if skipping {
                match memchr::memchr(b'\n', &buffer[..filled]) {
                    Some(end) => (at, skipping) = (end + 1, false),
                    None => {
                        (base, filled) = (base + filled as u64, 0);
                        if read == 0 || base >= range.to {
                            break;
                        }
                        continue;
                    }
                }
            }
            let mut record = Record::EMPTY;
            while base + (at as u64) < range.to {
                let text = &buffer[at..filled];
                record.reset();
                // No JSON object begins with a digit, and every log line does.
                let read = if text.first().is_some_and(u8::is_ascii_digit) {
                    fast_log.read(text, &mut record)
                } else {
                    fast.read(text, &mut record)
                };
                if let Some(len) = read {
                    lines += 1;
                    at += len;
                    take(lines, &Line::Call(&record));
                    continue;
                }
                let Some(len) = memchr::memchr(b'\n', text) else {
                    break;
                };
                lines += 1;
                let is_first = base == 0 && at == 0;
                carefully(&text[..len], is_first, |it| take(lines, &it));
                at += len + 1;
            }
            if base + (at as u64) >= range.to {
                break;
            }
            if read == 0 {
                if at < filled {
                    lines += 1;
                    let is_first = base == 0 && at == 0;
                    unfinished(&buffer[at..filled], is_first, |it| take(lines, &it));
                }
                at = filled;
                break;
            }
        }
        shrink(buffer);
        Ok(PartRead {
            lines,
            end: base + at as u64,
        })
    }
}

fn shrink(buffer: &mut Vec<u8>) {
    buffer.truncate(BUFFER_BYTES);
    buffer.shrink_to(BUFFER_BYTES);
}

/// Any line, without its end; blank ones are not handed on.
fn carefully(line: &[u8], is_first: bool, take: impl FnOnce(Line<'_>)) {
    let line = without_bom(line, is_first);
    match line.trim_ascii().first() {
        None => {}
        Some(b'0'..=b'9') => read_carefully(line, |content| {
            take(match content {
                LogContent::Call(ref record) => Line::Call(record),
                LogContent::Other => Line::OtherLog,
                LogContent::Unusable(reason) => Line::Unusable(reason),
            });
        }),
        Some(_) => match decode(line) {
            Ok(Decoded::Event(event)) => match Record::of_event(&event) {
                Some(record) => take(Line::Call(&record)),
                None => take(Line::Unknown),
            },
            Ok(_) => take(Line::Unknown),
            Err(fault) => take(Line::Unusable(fault.to_string())),
        },
    }
}

/// What stands behind the last line end: used if it is whole.
#[cold]
fn unfinished(line: &[u8], is_first: bool, take: impl FnOnce(Line<'_>)) {
    let line = without_bom(line, is_first);
    let is_log = line.trim_ascii().first().is_some_and(u8::is_ascii_digit);
    let is_json = || serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
    let torn = || Line::Unusable(LineFault::Torn.to_string());
    carefully(line, false, |content| match content {
        // Its last number may have lost digits.
        Line::Call(record) if is_log && !ends_whole(line, record.kind) => take(torn()),
        Line::Unusable(_) if is_log || !is_json() => take(torn()),
        content => take(content),
    });
}

fn without_bom(line: &[u8], is_first: bool) -> &[u8] {
    let rest = line.strip_prefix(BOM).filter(|_| is_first);
    rest.unwrap_or(line)
}

#[cfg(test)]
mod tests;
