//! The quick way to read a log line: one that stands as `log-format` writes the collector's calls, or as the seed has them,
//! without `event=`.
//!
//! As for events: what is not as expected (another order, an escape, a field of somebody else's) is for the parser. A value
//! in quotes without an escape is read here too: most errors are texts with spaces.

use metrics_core::Timestamp;

use super::{Day, ONES, below, clock_digits, decimal, number, up_to, zero_where};
use crate::record::{Kind, Moment, Record};

/// Reads canonical log lines.
#[derive(Debug)]
pub(crate) struct FastLogReader {
    day: Day,
}

impl Default for FastLogReader {
    fn default() -> Self {
        Self {
            day: Day::before(b' '),
        }
    }
}

impl FastLogReader {
    /// Reads the line at the beginning of `text` into `record`, which is empty, and gives the length of that line with its
    /// end. Where it gives none, `record` means nothing.
    #[inline]
    pub(crate) fn read<'a>(&mut self, text: &'a [u8], record: &mut Record<'a>) -> Option<usize> {
        let (date, rest) = text.split_first_chunk()?;
        let day = self.day.micros(date)?;
        let (clock, rest) = rest.split_first_chunk()?;
        let clock = clock_digits(*clock)?;
        let (b" INFO " | b" WARN ", rest) = rest.split_first_chunk()? else {
            return None;
        };
        let rest = match rest.first()? {
            b'l' => llm_call(record, rest)?,
            b't' => tool_call(record, rest)?,
            _ => return None,
        };
        record.end = Moment::new(day, clock, 0);
        // The parser knows what to do with a start before all times.
        let micros = i64::try_from(record.duration_ms.checked_mul(1000)?).ok()?;
        let day = day.checked_sub(micros)?;
        if day < Timestamp::MIN.unix_micros() {
            return None;
        }
        record.start = Moment::new(day, clock, 0);
        Some(text.len() - rest.len())
    }
}

#[inline]
fn llm_call<'a>(record: &mut Record<'a>, mut rest: &'a [u8]) -> Option<&'a [u8]> {
    record.kind = Kind::LlmCall;
    rest = rest.strip_prefix(b"llm_call_complete phase=")?;
    (record.phase, rest) = value(rest)?;
    rest = rest.strip_prefix(b" duration_ms=")?;
    (record.duration_ms, rest) = number(rest)?;
    optional!(rest, b" worker_id=", value, record.worker);
    rest = rest.strip_prefix(b" model=")?;
    (record.name, rest) = value(rest)?;
    let usage = &mut record.usage;
    optional!(rest, b" prompt_tokens=", number, usage.prompt_tokens);
    optional!(
        rest,
        b" completion_tokens=",
        number,
        usage.completion_tokens
    );
    optional!(rest, b" total_tokens=", number, usage.total_tokens);
    if let Some(rest) = rest.strip_prefix(b" event=llm_call_complete\n") {
        return Some(rest);
    }
    rest = more_of_llm_call(record, rest)?;
    end(rest, b" event=llm_call_complete")
}

#[inline]
fn tool_call<'a>(record: &mut Record<'a>, mut rest: &'a [u8]) -> Option<&'a [u8]> {
    record.kind = Kind::ToolCall;
    rest = rest.strip_prefix(b"tool_call_complete tool=")?;
    (record.name, rest) = value(rest)?;
    rest = rest.strip_prefix(b" duration_ms=")?;
    (record.duration_ms, rest) = number(rest)?;
    rest = rest.strip_prefix(b" success=")?;
    if let Some(tail) = rest.strip_prefix(b"True") {
        rest = tail;
    } else {
        rest = rest.strip_prefix(b"False")?;
        record.success = false;
    }
    optional!(rest, b" worker_id=", value, record.worker);
    if let Some(rest) = rest.strip_prefix(b" event=tool_call_complete\n") {
        return Some(rest);
    }
    if !record.success {
        rest = error(record, rest)?;
    }
    let mut _unused = None;
    optional!(rest, b" tool_call_id=", value, _unused);
    rest = trace(rest)?;
    end(rest, b" event=tool_call_complete")
}

/// What a model call has behind its total, in order.
fn more_of_llm_call<'a>(record: &mut Record<'a>, mut rest: &'a [u8]) -> Option<&'a [u8]> {
    let mut attempt = None;
    let usage = &mut record.usage;
    optional!(rest, b" cached_tokens=", number, usage.cached_tokens);
    optional!(
        rest,
        b" cache_write_tokens=",
        number,
        usage.cache_write_tokens
    );
    optional!(rest, b" reasoning_tokens=", number, usage.reasoning_tokens);
    optional!(rest, b" ttft_ms=", number, record.ttft_ms);
    optional!(rest, b" provider=", value, record.provider);
    optional!(rest, b" attempt=", number, attempt);
    if let Some(attempt) = attempt {
        record.attempt = Some(u32::try_from(attempt).ok()?);
    }
    if let Some(tail) = rest.strip_prefix(b" success=False") {
        record.success = false;
        rest = error(record, tail)?;
    }
    optional!(rest, b" cost_usd=", decimal, record.cost_usd);
    trace(rest)
}

/// What went wrong with a call that failed.
fn error<'a>(record: &mut Record<'a>, mut rest: &'a [u8]) -> Option<&'a [u8]> {
    optional!(rest, b" error=", value, record.error);
    record.error = record.error.filter(|it| !it.is_empty());
    Some(rest)
}

/// The end of a line: behind its event, or in the seed's form without one.
fn end<'a>(rest: &'a [u8], event: &[u8]) -> Option<&'a [u8]> {
    rest.strip_prefix(event).unwrap_or(rest).strip_prefix(b"\n")
}

/// Ids are of no use here.
fn trace(mut rest: &[u8]) -> Option<&[u8]> {
    let mut _unused = None;
    optional!(rest, b" trace_id=", value, _unused);
    optional!(rest, b" span_id=", value, _unused);
    Some(rest)
}

/// A value, and what stands behind it, which is whatever must not stand in one: who expects a space there, or the end of the
/// line, sees whether the value was a good one.
#[inline]
fn value(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (value, tail) = up_to(rest, |block| {
        below(b'!', block) | zero_where(b'"', block) | never_raw(block)
    })?;
    if value.is_empty() {
        return quoted(rest);
    }
    Some((value, tail))
}

/// A value in quotes without an escape.
#[cold]
fn quoted(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = rest.strip_prefix(b"\"")?;
    let (value, tail) = up_to(inside, |block| {
        below(b' ', block) | zero_where(b'"', block) | never_raw(block)
    })?;
    Some((value, tail.strip_prefix(b"\"")?))
}

/// Sets the highest bit of a byte that no value holds as it is.
#[inline]
fn never_raw(block: u128) -> u128 {
    zero_where(b'=', block) | zero_where(b'\\', block) | block.wrapping_add(ONES)
}

#[cfg(test)]
mod tests;
