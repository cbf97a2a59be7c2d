//! The quick way to read a line: a flat object of plain texts, whole numbers and booleans, best in our order.
//!
//! Whatever is not plain (an escape, `null`, a float, an unknown or doubled key, a fault) makes the scan give up, and
//! the careful decoder reads the line from its beginning: there is one place that knows what is wrong with a line.

use crate::{
    CallTime, ErrorText, Event, ExtraFields, LlmCall, Outcome, Timestamp, ToolCall, TraceFields,
    Usage,
    timestamp::{TEXT_LEN, parse, parse_canonical},
};

/// The event of a plain line.
#[inline]
pub(crate) fn scan(line: &[u8]) -> Option<Event<'_>> {
    // Checked once for the whole line; then every text cut at a quote is a text.
    let line = std::str::from_utf8(line).ok()?;
    let mut scanner = Scanner {
        line,
        bytes: line.as_bytes(),
        at: 0,
    };
    let mut plain = Plain::default();
    scanner.expect(b'{')?;
    let mut more = true;
    // Nearly all lines are ours: their fields in our order, one comparison a key.
    macro_rules! next {
        ($key:literal, $slot:expr, $read:ident) => {
            if more && scanner.take($key) {
                $slot = Some(scanner.$read()?);
                more = scanner.another()?;
            }
        };
    }
    next!(b"\"event\":", plain.event, text);
    next!(b"\"phase\":", plain.phase, text);
    next!(b"\"model\":", plain.model, text);
    next!(b"\"tool\":", plain.tool, text);
    next!(b"\"start_ts\":", plain.start_ts, timestamp);
    next!(b"\"end_ts\":", plain.end_ts, timestamp);
    next!(b"\"duration_ms\":", plain.duration_ms, number);
    next!(b"\"prompt_tokens\":", plain.usage.prompt_tokens, number);
    next!(
        b"\"completion_tokens\":",
        plain.usage.completion_tokens,
        number
    );
    next!(b"\"total_tokens\":", plain.usage.total_tokens, number);
    next!(b"\"success\":", plain.success, boolean);
    while more {
        scanner.field(&mut plain)?;
        more = scanner.another()?;
    }
    scanner.skip_space();
    if scanner.at < line.len() {
        return None;
    }
    plain.event()
}

/// The fields that plain lines have; a line with any other field is for the careful decoder.
#[derive(Default)]
struct Plain<'a> {
    event: Option<&'a str>,
    phase: Option<&'a str>,
    model: Option<&'a str>,
    tool: Option<&'a str>,
    start_ts: Option<Timestamp>,
    end_ts: Option<Timestamp>,
    duration_ms: Option<u64>,
    usage: Usage,
    ttft_ms: Option<u64>,
    provider: Option<&'a str>,
    attempt: Option<u64>,
    success: Option<bool>,
    error: Option<&'a str>,
    tool_call_id: Option<&'a str>,
}

impl<'a> Plain<'a> {
    #[inline]
    fn event(&self) -> Option<Event<'a>> {
        let time = CallTime::as_written(self.start_ts?, self.end_ts?, self.duration_ms?);
        match self.event? {
            "llm_call" => self.llm_call(time),
            "tool_call" => self.tool_call(time).map(Event::ToolCall),
            _ => None,
        }
    }

    #[inline]
    fn llm_call(&self, time: CallTime) -> Option<Event<'a>> {
        // A tool's field, or a failure that says less or more than it should.
        if self.tool.is_some()
            || self.tool_call_id.is_some()
            || self.success.is_some()
            || self.error.is_some()
        {
            return None;
        }
        Some(Event::LlmCall(LlmCall {
            phase: self.phase?.into(),
            model: self.model?.into(),
            time,
            usage: self.usage,
            ttft_ms: self.ttft_ms,
            provider: self.provider.map(Into::into),
            attempt: match self.attempt {
                None => None,
                Some(attempt) => Some(u32::try_from(attempt).ok()?),
            },
            outcome: Outcome::Success,
            cost_usd: None,
            trace: TraceFields::default(),
            extra: ExtraFields::default(),
        }))
    }

    #[inline]
    fn tool_call(&self, time: CallTime) -> Option<ToolCall<'a>> {
        let of_a_model = self.phase.is_some()
            || self.model.is_some()
            || self.provider.is_some()
            || self.ttft_ms.is_some()
            || self.attempt.is_some()
            || self.usage != Usage::default();
        if of_a_model {
            return None;
        }
        let mut call = ToolCall::new(self.tool?, time);
        call.outcome = match (self.success?, self.error) {
            (true, None) => Outcome::Success,
            (true, Some(_)) => return None,
            (false, error) => {
                Outcome::Failure(ErrorText::as_written(error.unwrap_or_default().into()))
            }
        };
        call.tool_call_id = self.tool_call_id.map(Into::into);
        Some(call)
    }
}

struct Scanner<'a> {
    line: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Takes `text` if it comes next.
    #[inline]
    fn take<const N: usize>(&mut self, text: &[u8; N]) -> bool {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let found = rest.first_chunk() == Some(text);
        if found {
            self.at += N;
        }
        found
    }

    /// Whether another field follows; if not, that was the end of the object.
    #[inline]
    fn another(&mut self) -> Option<bool> {
        let token = self.next_token()?;
        self.at += 1;
        match token {
            b',' => Some(true),
            b'}' => Some(false),
            _ => None,
        }
    }

    /// One key and its value. By length first: what is left then are one or two comparisons with constants.
    fn field(&mut self, plain: &mut Plain<'a>) -> Option<()> {
        let key = self.text()?.as_bytes();
        self.expect(b':')?;
        match key.len() {
            4 if key == b"tool" => set(&mut plain.tool, self.text()?),
            5 => match key {
                b"event" => set(&mut plain.event, self.text()?),
                b"phase" => set(&mut plain.phase, self.text()?),
                b"model" => set(&mut plain.model, self.text()?),
                b"error" => set(&mut plain.error, self.text()?),
                _ => None,
            },
            6 if key == b"end_ts" => set(&mut plain.end_ts, self.timestamp()?),
            7 => match key {
                b"success" => set(&mut plain.success, self.boolean()?),
                b"ttft_ms" => set(&mut plain.ttft_ms, self.number()?),
                b"attempt" => set(&mut plain.attempt, self.number()?),
                _ => None,
            },
            8 if key == b"start_ts" => set(&mut plain.start_ts, self.timestamp()?),
            8 if key == b"provider" => set(&mut plain.provider, self.text()?),
            11 if key == b"duration_ms" => set(&mut plain.duration_ms, self.number()?),
            _ => self.long_field(key, plain),
        }
    }

    /// The longer keys.
    fn long_field(&mut self, key: &[u8], plain: &mut Plain<'a>) -> Option<()> {
        let usage = &mut plain.usage;
        match key {
            b"prompt_tokens" => set(&mut usage.prompt_tokens, self.number()?),
            b"completion_tokens" => set(&mut usage.completion_tokens, self.number()?),
            b"total_tokens" => set(&mut usage.total_tokens, self.number()?),
            b"cached_tokens" => set(&mut usage.cached_tokens, self.number()?),
            b"cache_write_tokens" => set(&mut usage.cache_write_tokens, self.number()?),
            b"reasoning_tokens" => set(&mut usage.reasoning_tokens, self.number()?),
            b"tool_call_id" => set(&mut plain.tool_call_id, self.text()?),
            _ => None,
        }
    }

    /// A quoted text without any escape.
    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        let end = self.end_of_text(start)?;
        self.at = end + 1;
        if self.bytes.get(end) != Some(&b'"') {
            return None;
        }
        self.line.get(start..end)
    }

    /// Where the first byte stands that is not plain: eight bytes are looked at together.
    #[inline]
    fn end_of_text(&self, start: usize) -> Option<usize> {
        let mut at = start;
        while let Some(word) = self.bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            let ends = plain_ends(u64::from_le_bytes(*word));
            if ends != 0 {
                return Some(at + (ends.trailing_zeros() / 8) as usize);
            }
            at += 8;
        }
        let rest = self.bytes.get(at..)?;
        Some(
            at + rest
                .iter()
                .position(|it| matches!(it, 0..0x20 | b'"' | b'\\'))?,
        )
    }

    /// A quoted timestamp in any form.
    #[inline]
    fn timestamp(&mut self) -> Option<Timestamp> {
        self.next_token()?;
        // The canonical form is known by where it ends.
        let rest = self.bytes.get(self.at..)?;
        if let Some([b'"', text @ .., b'"']) = rest.first_chunk::<{ TEXT_LEN + 2 }>()
            && let Some(timestamp) = text.first_chunk().and_then(parse_canonical)
        {
            self.at += TEXT_LEN + 2;
            return Some(timestamp);
        }
        parse(self.text()?.as_bytes())
    }

    /// A whole number that is not negative.
    #[inline]
    fn number(&mut self) -> Option<u64> {
        self.skip_space();
        let (start, mut number) = (self.at, 0_u64);
        while let Some(digit) = self.bytes.get(self.at).map(|it| it.wrapping_sub(b'0'))
            && digit < 10
        {
            number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        match self.at - start {
            1 => Some(number),
            // A leading zero is no number of JSON.
            2..=18 if self.bytes[start] != b'0' => Some(number),
            // None, or so many that they may not fit.
            _ => None,
        }
    }

    #[inline]
    fn boolean(&mut self) -> Option<bool> {
        self.skip_space();
        let rest = &self.bytes[self.at..];
        let value = rest.starts_with(b"true");
        if !value && !rest.starts_with(b"false") {
            return None;
        }
        self.at += if value { 4 } else { 5 };
        Some(value)
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        let found = self.next_token()? == byte;
        self.at += 1;
        found.then_some(())
    }

    /// The next byte that is not white space; it is not taken.
    #[inline]
    fn next_token(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        if byte > b' ' {
            return Some(byte);
        }
        self.skip_space();
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }
}

/// Fills a slot; a second value for it is not plain.
#[inline]
fn set<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    let first = slot.is_none();
    *slot = Some(value);
    first.then_some(())
}

/// Sets the highest bit of the first byte that ends a plain text, and perhaps of others above it.
#[inline]
fn plain_ends(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let zero_where = |byte: u8| {
        let word = word ^ (ONES * u64::from(byte));
        word.wrapping_sub(ONES) & !word
    };
    let controls = word.wrapping_sub(ONES * 0x20) & !word;
    (controls | zero_where(b'"') | zero_where(b'\\')) & (ONES * 0x80)
}
