//! The visitor that writes a line field by field.
//!
//! Fields arrive in any order and are written at once. What belongs elsewhere is moved afterwards:
//! the stamp has a fixed width and is patched in, the message and the last field are rotated into place.

use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Write as _};
use std::ops::Range;

use tracing::field::{Field, Visit};

use crate::buffer::Buffer;
use crate::escape::{push_message, push_value};
use crate::format::plan::{FieldPlan, Origin, Plan, Role};
use crate::format::{KEEP_CAPACITY, WorkerIdHook};
use crate::guard::guarded;
use crate::stamp::{now_seconds, stamp};

/// Links of an error's source chain that are printed; a chain may be a circle.
const MAX_SOURCES: usize = 16;

/// A line being written.
pub(super) struct Line<'a> {
    out: &'a mut Buffer,
    plan: &'static Plan,
    /// Where the message belongs: after the level.
    message_at: usize,
    has_message: bool,
    has_worker_id: bool,
    /// The field that goes last, with the space before it: `event=` of ours, or `log`'s target.
    last: Option<Range<usize>>,
    end_unix_us: Option<i64>,
}

impl<'a> Line<'a> {
    /// Begins a line in an empty buffer: room for the stamp, then the level.
    pub(super) fn begin(out: &'a mut Buffer, plan: &'static Plan) -> Self {
        plan.begin.push(out);
        let message_at = out.len();
        Self {
            out,
            plan,
            message_at,
            has_message: false,
            has_worker_id: false,
            last: None,
            end_unix_us: None,
        }
    }

    /// Ends the line: what goes last, the stamp, `\n`.
    pub(super) fn finish(mut self, target: &str, worker_id: Option<&WorkerIdHook>) {
        if self.plan.origin != Origin::Telemetry {
            if let Some(hook) = worker_id.filter(|_| !self.has_worker_id) {
                self.worker_id(hook);
            }
            if self.last.is_none() {
                self.out.put(b" target=");
                push_value(self.out, false, target);
            }
        }
        if let Some(last) = self.last.take()
            && last.end < self.out.len()
        {
            self.out.since(last.start).rotate_left(last.len());
        }
        let seconds = self
            .end_unix_us
            .map_or_else(now_seconds, |it| it.div_euclid(1_000_000));
        self.out.put(b"\n");
        if let Some(place) = self.out.since(0).first_chunk_mut() {
            *place = stamp(seconds);
        }
    }

    fn worker_id(&mut self, hook: &WorkerIdHook) {
        with_text(|text| {
            let mut found = false;
            let res = guarded(|| {
                found = hook(text)?;
                Ok(())
            });
            if res.is_ok() && found {
                self.out.put(b" worker_id=");
                push_value(self.out, true, text);
            }
        });
    }

    /// Whether a field is the event's message; a second one prints as a plain field.
    fn is_message(&self, field: &FieldPlan) -> bool {
        field.role == Role::Message && !self.has_message
    }

    /// Writes a message with `write` and moves it to its place.
    fn message(&mut self, write: impl FnOnce(&mut Buffer) -> Result<(), &'static str>) {
        self.has_message = true;
        let begin = self.out.len();
        self.out.put(b" ");
        if let Err(stand_in) = write(self.out) {
            self.out.truncate(begin + 1);
            push_message(self.out, stand_in);
        }
        let len = self.out.len() - begin;
        if len == 1 {
            self.out.truncate(begin);
        } else if begin > self.message_at {
            self.out.since(self.message_at).rotate_right(len);
            self.last = self.last.take().map(|it| it.start + len..it.end + len);
        }
    }

    /// Writes ` key=` and the value that `write` appends; it is told whether the key is spaceless.
    #[inline]
    fn field(&mut self, field: &FieldPlan, write: impl FnOnce(&mut Buffer, bool)) {
        if matches!(field.role, Role::Stamp | Role::Skipped) {
            return;
        }
        let start = self.out.len();
        field.head.push(self.out);
        self.has_worker_id |= field.is_worker_id;
        write(self.out, field.spaceless);
        if field.role == Role::Last && self.last.is_none() {
            self.last = Some(start..self.out.len());
        }
    }

    #[inline]
    fn text(&mut self, field: &FieldPlan, value: &str) {
        if self.is_message(field) {
            self.message(|out| {
                push_message(out, value);
                Ok(())
            });
        } else {
            self.field(field, |out, spaceless| push_value(out, spaceless, value));
        }
    }

    /// A whole number, which needs no quotes; `micros` is what it says as a stamp.
    #[inline]
    fn integer(&mut self, field: &Field, micros: Option<i64>, write: impl FnOnce(&mut Buffer)) {
        let Some(field) = self.plan.field(field.index()) else {
            return;
        };
        if field.role == Role::Stamp {
            self.end_unix_us = micros;
        } else if self.is_message(field) {
            self.message(|out| {
                write(out);
                Ok(())
            });
        } else {
            self.field(field, |out, _| write(out));
        }
    }

    /// A value that foreign code formats.
    fn foreign(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let Some(field) = self.plan.field(field.index()) else {
            return;
        };
        if self.is_message(field) {
            self.message(|out| guarded(|| EscapedMessage(out).write_fmt(value)));
            return;
        }
        self.field(field, |out, spaceless| {
            with_text(|text| {
                let res = guarded(|| text.write_fmt(value));
                push_value(out, spaceless, res.err().unwrap_or(text));
            });
        });
    }
}

fn push_integer(out: &mut Buffer, value: impl itoa::Integer) {
    out.push(itoa::Buffer::new().format(value).as_bytes());
}

/// Lends a text that holds a foreign value until it is known whether it needs quotes.
fn with_text(lend: impl FnOnce(&mut String)) {
    thread_local!(static TEXT: Cell<String> = const { Cell::new(String::new()) });
    // Taken, not borrowed: a `Debug` that emits an event comes here again.
    let mut text = TEXT.try_with(Cell::take).unwrap_or_default();
    text.clear();
    lend(&mut text);
    if text.capacity() <= KEEP_CAPACITY {
        // Fails only while the thread ends; then there is nothing to keep.
        let _ = TEXT.try_with(|it| it.set(text));
    }
}

impl Visit for Line<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.integer(field, Some(value), |out| push_integer(out, value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        let micros = i64::try_from(value).ok();
        self.integer(field, micros, |out| out.push_number(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        let micros = i64::try_from(value).ok();
        self.integer(field, micros, |out| push_integer(out, value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        let micros = i64::try_from(value).ok();
        self.integer(field, micros, |out| push_integer(out, value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // `Debug` has an exponent for far numbers, where `Display` writes 300 zeros.
        self.foreign(field, format_args!("{value:?}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record_str(field, if value { "True" } else { "False" });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(field) = self.plan.field(field.index()) {
            self.text(field, value);
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
struct EscapedMessage<'a>(&'a mut Buffer);

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
