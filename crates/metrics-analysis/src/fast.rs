//! The quick way to read a line: one that stands as `metrics-core` writes it, byte for byte; [`log`] does the same for log
//! lines.
//!
//! The fields come in the canonical order, so that each key is one comparison and no line end has to be looked for. What
//! is not as expected (another order, a space, an escape, a letter beyond ASCII, a number of many digits, an unknown
//! field) makes it give up, and `metrics-core` reads the line from its beginning: it alone knows what is wrong with one.

use metrics_core::{Decimal, Timestamp};

pub(crate) use self::log::FastLogReader;
use crate::record::{Kind, Moment, Record};

const DATE_LEN: usize = 11; // `2025-12-15T`
const STAMP_LEN: usize = 27; // `2025-12-15T04:08:08.123456Z`
const TIMES_LEN: usize = br#","start_ts":"","end_ts":"","duration_ms":"#.len() + 2 * STAMP_LEN;

/// Reads canonical lines.
#[derive(Debug)]
pub(crate) struct FastReader {
    day: Day,
}

impl Default for FastReader {
    fn default() -> Self {
        Self {
            day: Day::before(b'T'),
        }
    }
}

/// The date that was last found valid, with what stands between it and the time, and its first microsecond: mostly the next
/// line's too.
#[derive(Debug)]
struct Day {
    date: [u8; DATE_LEN],
    micros: i64,
}

impl Day {
    fn before(separator: u8) -> Self {
        let mut date = *b"1970-01-01 ";
        date[DATE_LEN - 1] = separator;
        Self { date, micros: 0 }
    }

    /// The first microsecond of `date`.
    #[inline]
    fn micros(&mut self, date: &[u8; DATE_LEN]) -> Option<i64> {
        // As slices: an array of eleven bytes is compared in more steps.
        if date[..] != self.date[..] {
            self.change(date)?;
        }
        Some(self.micros)
    }

    #[cold]
    fn change(&mut self, date: &[u8; DATE_LEN]) -> Option<()> {
        if date[DATE_LEN - 1] != self.date[DATE_LEN - 1] {
            return None; // Readable perhaps, but not canonical.
        }
        let day = std::str::from_utf8(&date[..DATE_LEN - 1]).ok()?;
        let midnight: Timestamp = format!("{day}T00:00:00.000000Z").parse().ok()?;
        self.date = *date;
        self.micros = midnight.unix_micros();
        Some(())
    }
}

/// Takes `$literal` and what `$read` makes of what follows, if it comes next.
macro_rules! optional {
    ($rest:ident, $literal:literal, $read:path, $slot:expr) => {
        if let Some(tail) = $rest.strip_prefix($literal) {
            let (value, tail) = $read(tail)?;
            $slot = Some(value);
            $rest = tail;
        }
    };
}

mod log; // Behind the macros, which it uses too.

impl FastReader {
    /// Reads the line at the beginning of `text` into `record`, which is empty, and gives the length of that line with its
    /// end. Where it gives none, `record` means nothing.
    #[inline]
    pub(crate) fn read<'a>(&mut self, text: &'a [u8], record: &mut Record<'a>) -> Option<usize> {
        let rest = text.strip_prefix(b"{\"event\":\"")?;
        let rest = match rest.first()? {
            b'l' => self.llm_call(record, rest)?,
            b't' => self.tool_call(record, rest)?,
            _ => return None,
        };
        Some(text.len() - rest.len())
    }

    #[inline]
    fn llm_call<'a>(&mut self, record: &mut Record<'a>, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        record.kind = Kind::LlmCall;
        rest = rest.strip_prefix(b"llm_call\",\"phase\":\"")?;
        (record.phase, rest) = text(rest)?;
        rest = rest.strip_prefix(b",\"model\":\"")?;
        (record.name, rest) = text(rest)?;
        rest = self.times(record, rest)?;
        let usage = &mut record.usage;
        optional!(rest, b",\"prompt_tokens\":", number, usage.prompt_tokens);
        optional!(
            rest,
            b",\"completion_tokens\":",
            number,
            usage.completion_tokens
        );
        optional!(rest, b",\"total_tokens\":", number, usage.total_tokens);
        if let Some(rest) = rest.strip_prefix(b"}\n") {
            return Some(rest);
        }
        more_of_llm_call(record, rest)?.strip_prefix(b"}\n")
    }

    #[inline]
    fn tool_call<'a>(&mut self, record: &mut Record<'a>, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        record.kind = Kind::ToolCall;
        rest = rest.strip_prefix(b"tool_call\",\"tool\":\"")?;
        (record.name, rest) = text(rest)?;
        rest = self.times(record, rest)?;
        rest = rest.strip_prefix(b",\"success\":")?;
        if let Some(tail) = rest.strip_prefix(b"true") {
            rest = tail;
        } else {
            rest = rest.strip_prefix(b"false")?;
            rest = failure(record, rest)?;
        }
        if let Some(rest) = rest.strip_prefix(b"}\n") {
            return Some(rest);
        }
        let mut _unused = None;
        optional!(rest, b",\"tool_call_id\":\"", text, _unused);
        trace(rest)?.strip_prefix(b"}\n")
    }

    /// From behind the quote of the name to behind the duration.
    #[inline]
    fn times<'a>(&mut self, record: &mut Record<'a>, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        // All of this has a known length: one look at whether it is there.
        let (times, tail) = rest.split_first_chunk::<TIMES_LEN>()?;
        rest = tail;
        let times = times.strip_prefix(b",\"start_ts\":\"")?;
        let (stamp, times) = times.split_first_chunk()?;
        record.start = self.moment(stamp)?;
        let times = times.strip_prefix(b"\",\"end_ts\":\"")?;
        let (stamp, times) = times.split_first_chunk()?;
        record.end = self.moment(stamp)?;
        times.strip_prefix(b"\",\"duration_ms\":")?;
        let (duration_ms, rest) = number(rest)?;
        record.duration_ms = duration_ms;
        Some(rest)
    }

    #[inline]
    fn moment(&mut self, stamp: &[u8; STAMP_LEN]) -> Option<Moment> {
        let (date, time) = stamp.split_first_chunk()?;
        let day = self.day.micros(date)?;
        let (clock, fraction) = time.split_first_chunk()?;
        let fraction = digits_in_form(*fraction.first_chunk()?, *b".999999Z")?;
        Some(Moment::new(day, clock_digits(*clock)?, fraction))
    }
}

/// The digits of a time of day.
#[inline]
fn clock_digits(clock: [u8; 8]) -> Option<u64> {
    let digits = digits_in_form(clock, *b"29:59:59")?;
    let [h1, h2, ..] = clock;
    (u16::from_be_bytes([h1, h2]) <= u16::from_be_bytes(*b"23")).then_some(digits)
}

/// What a model call has behind its total, in order.
fn more_of_llm_call<'a>(record: &mut Record<'a>, mut rest: &'a [u8]) -> Option<&'a [u8]> {
    let mut attempt = None;
    let usage = &mut record.usage;
    optional!(rest, b",\"cached_tokens\":", number, usage.cached_tokens);
    optional!(
        rest,
        b",\"cache_write_tokens\":",
        number,
        usage.cache_write_tokens
    );
    optional!(
        rest,
        b",\"reasoning_tokens\":",
        number,
        usage.reasoning_tokens
    );
    optional!(rest, b",\"ttft_ms\":", number, record.ttft_ms);
    optional!(rest, b",\"provider\":\"", text, record.provider);
    optional!(rest, b",\"attempt\":", number, attempt);
    if let Some(attempt) = attempt {
        record.attempt = Some(u32::try_from(attempt).ok()?);
    }
    if let Some(tail) = rest.strip_prefix(b",\"success\":false") {
        rest = failure(record, tail)?;
    }
    optional!(rest, b",\"cost_usd\":", decimal, record.cost_usd);
    trace(rest)
}

/// Behind `"success":false`.
#[inline]
fn failure<'a>(record: &mut Record<'a>, mut rest: &'a [u8]) -> Option<&'a [u8]> {
    record.success = false;
    optional!(rest, b",\"error\":\"", text, record.error);
    record.error = record.error.filter(|it| !it.is_empty());
    Some(rest)
}

/// Ids are of no use here, and one in another form is no fault.
fn trace(mut rest: &[u8]) -> Option<&[u8]> {
    let mut _unused = None;
    optional!(rest, b",\"trace_id\":\"", text, _unused);
    optional!(rest, b",\"span_id\":\"", text, _unused);
    optional!(rest, b",\"parent_span_id\":\"", text, _unused);
    Some(rest)
}

/// A plain text up to its closing quote, and what stands behind that.
#[inline]
fn text(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (text, tail) = up_to(rest, |block| {
        below(b' ', block) | zero_where(b'"', block) | zero_where(b'\\', block)
    })?;
    match tail.split_first()? {
        (b'"', tail) => Some((text, tail)),
        _ => None,
    }
}

/// Parts `rest` before the first byte whose highest bit `ends` sets, or that is not ASCII. As many bytes as a block has must
/// stand behind that.
#[inline]
fn up_to(rest: &[u8], ends: impl Fn(u128) -> u128) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        // Sixteen bytes together, as most names are no longer: one branch less that cannot be foretold.
        let block: &[u8; 16] = rest.get(at..)?.first_chunk()?;
        let block = u128::from_le_bytes(*block);
        let ends = (ends(block) | block) & (ONES * 0x80);
        if ends != 0 {
            at += (ends.trailing_zeros() / 8) as usize;
            return rest.split_at_checked(at);
        }
        at += 16;
    }
}

// Each of these sets the highest bit of the first byte that it is named for, and perhaps of others above it or above one that
// is not ASCII.

const ONES: u128 = u128::from_le_bytes([1; 16]);

#[inline]
fn below(byte: u8, block: u128) -> u128 {
    block.wrapping_sub(ONES * u128::from(byte))
}

#[inline]
fn zero_where(byte: u8, block: u128) -> u128 {
    (block ^ (ONES * u128::from(byte))).wrapping_sub(ONES)
}

/// A whole number of at most 18 digits, and what stands behind it.
#[expect(
    clippy::inline_always,
    reason = "a tenth of a scan's time was the call itself"
)]
#[inline(always)]
fn number(rest: &[u8]) -> Option<(u64, &[u8])> {
    let digits = u64::from_le_bytes(*rest.first_chunk()?) ^ u64::from_le_bytes(*b"00000000");
    let too_high = (digits & u64::from_le_bytes([0x7f; 8])) + u64::from_le_bytes([0x76; 8]);
    let others = (too_high | digits) & u64::from_le_bytes([0x80; 8]);
    let len = others.trailing_zeros() / 8;
    if len == 0 {
        return None;
    }
    if len == 8 {
        return long_number(rest);
    }
    if len > 1 && digits.trailing_zeros() >= 8 {
        return None; // A leading zero is no number of JSON.
    }
    // The first digit stands lowest: with what follows the number pushed out, zeros stand before it.
    let digits = digits << (64 - 8 * len);
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    let value = (fours * 10_000 + (fours >> 32)) & 0xffff_ffff;
    Some((value, &rest[len as usize..]))
}

#[cold]
fn long_number(rest: &[u8]) -> Option<(u64, &[u8])> {
    let len = rest.iter().position(|it| !it.is_ascii_digit())?;
    if len > 18 || rest[0] == b'0' {
        return None;
    }
    let (digits, tail) = rest.split_at(len);
    let value = digits
        .iter()
        .fold(0, |sum, it| sum * 10 + u64::from(it - b'0'));
    Some((value, tail))
}

/// An amount of money without an exponent.
#[cold]
fn decimal(rest: &[u8]) -> Option<(Decimal, &[u8])> {
    let len = rest
        .iter()
        .position(|it| !matches!(it, b'0'..=b'9' | b'.'))?;
    let (text, tail) = rest.split_at(len);
    // JSON's form: a digit on both sides of the point, no leading zero.
    let (whole, fraction) = match text.iter().position(|it| *it == b'.') {
        Some(point) => (&text[..point], Some(&text[point + 1..])),
        None => (text, None),
    };
    let plain = |it: &[u8]| !it.is_empty() && it.iter().all(u8::is_ascii_digit);
    if !plain(whole) || !fraction.is_none_or(plain) || (whole.len() > 1 && whole[0] == b'0') {
        return None;
    }
    let value = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some((value, tail))
}

/// The digits of eight bytes, each in its byte, where `form` has the highest digit that may stand there; its other
/// characters must be as they are.
#[inline]
fn digits_in_form(text: [u8; 8], form: [u8; 8]) -> Option<u64> {
    let is_digit = |it: u8| it.is_ascii_digit();
    let zeros = form.map(|it| if is_digit(it) { b'0' } else { it });
    let digits = u64::from_le_bytes(text) ^ u64::from_le_bytes(zeros);
    // What brings the first value that is too high to 0x80.
    let limits = form.map(|it| {
        if is_digit(it) {
            0x7f - (it - b'0')
        } else {
            0x7f
        }
    });
    let too_high = digits | ((digits & u64::from_le_bytes([0x7f; 8])) + u64::from_le_bytes(limits));
    (too_high & u64::from_le_bytes([0x80; 8]) == 0).then_some(digits)
}

#[cfg(test)]
mod tests;
