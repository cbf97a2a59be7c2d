//! The visitor that writes a line field by field.
//!
//! Fields arrive in any order and are written at once. What belongs elsewhere is moved afterwards:
//! the stamp has a fixed width and is patched in, the message and the last field are rotated into place.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::ops::Range;

use tracing::Level;
use tracing::field::{Field, Visit};

use crate::escape::{is_spaceless_key, push_key, push_message, push_value};
use crate::format::{Origin, WorkerIdHook};
use crate::guard::guarded;
use crate::stamp::{STAMP_LEN, now_seconds, stamp};

/// Links of an error's source chain that are printed; a chain may be a circle.
const MAX_SOURCES: usize = 16;

/// A line being written.
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
    /// Holds a foreign value until it is known whether it needs quotes.
    text: &'a mut String,
    origin: Origin,
    /// Where the line begins in `out`.
    start: usize,
    /// Where the message belongs: after the level.
    message_at: usize,
    has_message: bool,
    has_worker_id: bool,
    /// The field that goes last, with the space before it: `event=` of ours, or `log`'s target.
    last: Option<Range<usize>>,
    end_unix_us: Option<i64>,
}

impl<'a> Line<'a> {
    /// Begins a line: room for the stamp, then the level.
    pub(super) fn begin(
        out: &'a mut Vec<u8>,
        text: &'a mut String,
        origin: Origin,
        level: Level,
    ) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; STAMP_LEN]);
        out.push(b' ');
        out.extend_from_slice(level.as_str().as_bytes());
        let message_at = out.len();
        Self {
            out,
            text,
            origin,
            start,
            message_at,
            has_message: false,
            has_worker_id: false,
            last: None,
            end_unix_us: None,
        }
    }

    /// Ends the line: what goes last, the stamp, `\n`.
    pub(super) fn finish(mut self, target: &str, worker_id: Option<&WorkerIdHook>) {
        if self.origin != Origin::Telemetry {
            if let Some(hook) = worker_id.filter(|_| !self.has_worker_id) {
                self.worker_id(hook);
            }
            if self.last.is_none() {
                self.out.extend_from_slice(b" target=");
                push_value(self.out, false, target);
            }
        }
        if let Some(range) = self.last.take() {
            let len = range.len();
            self.out[range.start..].rotate_left(len);
        }
        let seconds = self
            .end_unix_us
            .map_or_else(now_seconds, |it| it.div_euclid(1_000_000));
        self.out[self.start..self.start + STAMP_LEN].copy_from_slice(&stamp(seconds));
        self.out.push(b'\n');
    }

    fn worker_id(&mut self, hook: &WorkerIdHook) {
        self.text.clear();
        let mut found = false;
        let res = guarded(|| {
            found = hook(self.text)?;
            Ok(())
        });
        if res.is_ok() && found {
            self.out.extend_from_slice(b" worker_id=");
            push_value(self.out, true, self.text);
        }
    }

    /// Whether `field` is the event's message; a second one prints as a plain field.
    fn is_message(&self, field: &Field) -> bool {
        !self.has_message && field.name() == "message"
    }

    /// Writes a message with `write` and moves it to its place.
    fn message(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), &'static str>) {
        self.has_message = true;
        let begin = self.out.len();
        self.out.push(b' ');
        if let Err(stand_in) = write(self.out) {
            self.out.truncate(begin + 1);
            push_message(self.out, stand_in);
        }
        let len = self.out.len() - begin;
        if len == 1 {
            self.out.pop();
        } else if begin > self.message_at {
            self.out[self.message_at..].rotate_right(len);
            self.last = self.last.take().map(|it| it.start + len..it.end + len);
        }
    }

    /// Writes ` key=` and the value that `write` appends; it is told whether the key is spaceless.
    fn field(&mut self, field: &Field, write: impl FnOnce(&mut Vec<u8>, &mut String, bool)) {
        let name = field.name();
        let start = self.out.len();
        self.out.push(b' ');
        let mut goes_last = false;
        match (self.origin, name) {
            (Origin::Telemetry, "end_unix_us")
            | (Origin::LogCrate, "log.module_path" | "log.file" | "log.line") => {
                self.out.truncate(start);
                return;
            }
            (Origin::Telemetry, "event") => {
                goes_last = self.last.is_none();
                self.out.extend_from_slice(b"event");
            }
            (Origin::LogCrate, "log.target") => {
                goes_last = self.last.is_none();
                self.out.extend_from_slice(b"target");
            }
            _ => push_key(self.out, name),
        }
        let key = &self.out[start + 1..];
        let spaceless = is_spaceless_key(key);
        self.has_worker_id |= spaceless && key == b"worker_id";
        self.out.push(b'=');
        write(self.out, self.text, spaceless);
        if goes_last {
            self.last = Some(start..self.out.len());
        }
    }

    fn integer(&mut self, field: &Field, value: impl itoa::Integer) {
        self.bare(field, itoa::Buffer::new().format(value));
    }

    /// A field whose value is known to need no quotes.
    fn bare(&mut self, field: &Field, value: &str) {
        if self.is_message(field) {
            self.record_str(field, value);
        } else {
            self.field(field, |out, _, _| out.extend_from_slice(value.as_bytes()));
        }
    }

    /// A value that foreign code formats.
    fn foreign(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.is_message(field) {
            self.message(|out| guarded(|| EscapedMessage(out).write_fmt(value)));
            return;
        }
        self.field(field, |out, text, spaceless| {
            text.clear();
            let res = guarded(|| text.write_fmt(value));
            push_value(out, spaceless, res.err().unwrap_or(text));
        });
    }

    fn stamp_from(&mut self, field: &Field, end_unix_us: Option<i64>) {
        if self.origin == Origin::Telemetry && field.name() == "end_unix_us" {
            self.end_unix_us = end_unix_us;
        }
    }
}

impl Visit for Line<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.stamp_from(field, Some(value));
        self.integer(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.stamp_from(field, i64::try_from(value).ok());
        self.integer(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.stamp_from(field, i64::try_from(value).ok());
        self.integer(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.stamp_from(field, i64::try_from(value).ok());
        self.integer(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // `Debug` has an exponent for far numbers, where `Display` writes 300 zeros.
        self.foreign(field, format_args!("{value:?}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, if value { "True" } else { "False" });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.is_message(field) {
            self.message(|out| {
                push_message(out, value);
                Ok(())
            });
        } else {
            self.field(field, |out, _, spaceless| push_value(out, spaceless, value));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.foreign(field, format_args!("{}", Chain(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.foreign(field, format_args!("{value:?}"));
    }
}

/// Escapes what `fmt` writes, piece by piece, straight into the line.
struct EscapedMessage<'a>(&'a mut Vec<u8>);

impl fmt::Write for EscapedMessage<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        push_message(self.0, piece);
        Ok(())
    }
}

/// An error and its sources, joined by `: `.
struct Chain<'a>(&'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        for _ in 0..MAX_SOURCES {
            let Some(error) = source else { break };
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
