//! The quick way to read a line: a flat object of plain texts, whole numbers and booleans, in any order.
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
        predicted: Key::Event,
    };
    let mut plain = Plain::default();
    scanner.expect(b'{')?;
    loop {
        scanner.field(&mut plain)?;
        match scanner.next_token()? {
            b',' => scanner.at += 1,
            b'}' => break,
            _ => return None,
        }
    }
    scanner.at += 1;
    scanner.skip_space();
    if scanner.at < line.len() {
        return None;
    }
    plain.into_event()
}

/// The fields that plain lines have; a line with any other field is for the careful decoder.
#[derive(Default)]
struct Plain<'a> {
    event: Option<&'a str>,
    phase: Option<&'a str>,
    model: Option<&'a str>,
    tool: Option<&'a str>,
    start_ts: Option<Timestamp>,
    /// The text of `start_ts`: the other stamp mostly begins with the same date.
    start_text: &'a [u8],
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
    fn into_event(self) -> Option<Event<'a>> {
        let time = CallTime::as_written(self.start_ts?, self.end_ts?, self.duration_ms?);
        match self.event? {
            "llm_call" => self.into_llm_call(time).map(Event::LlmCall),
            "tool_call" => self.into_tool_call(time).map(Event::ToolCall),
            _ => None,
        }
    }

    #[inline]
    fn into_llm_call(self, time: CallTime) -> Option<LlmCall<'a>> {
        // A tool's field, or a failure that says less or more than it should.
        if self.tool.is_some()
            || self.tool_call_id.is_some()
            || self.success.is_some()
            || self.error.is_some()
        {
            return None;
        }
        Some(LlmCall {
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
        })
    }

    #[inline]
    fn into_tool_call(self, time: CallTime) -> Option<ToolCall<'a>> {
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
    /// The key that probably comes next.
    predicted: Key,
}

/// The keys of plain lines.
#[derive(Debug, Clone, Copy)]
enum Key {
    Event,
    Phase,
    Model,
    StartTs,
    EndTs,
    DurationMs,
    PromptTokens,
    CompletionTokens,
    TotalTokens,
    CachedTokens,
    CacheWriteTokens,
    ReasoningTokens,
    TtftMs,
    Provider,
    Attempt,
    Tool,
    Success,
    Error,
    ToolCallId,
}

impl Key {
    /// The key that mostly follows this one in a canonical line.
    #[inline]
    fn follower(self) -> Self {
        match self {
            Self::Event => Self::Phase,
            Self::Phase => Self::Model,
            Self::Model | Self::Tool => Self::StartTs,
            Self::StartTs => Self::EndTs,
            Self::EndTs => Self::DurationMs,
            Self::DurationMs => Self::PromptTokens,
            Self::PromptTokens => Self::CompletionTokens,
            Self::CompletionTokens => Self::TotalTokens,
            _ => Self::Success,
        }
    }
}

/// The length of `key` if `rest` begins with it, else zero.
#[inline]
fn length_at_start<const N: usize>(rest: &[u8], key: &[u8; N]) -> usize {
    if rest.first_chunk() == Some(key) {
        N
    } else {
        0
    }
}

impl<'a> Scanner<'a> {
    /// One key and its value.
    #[inline]
    fn field(&mut self, plain: &mut Plain<'a>) -> Option<()> {
        let key = self.key()?;
        self.predicted = key.follower();
        match key {
            Key::Event => set(&mut plain.event, self.text()?),
            Key::Phase => set(&mut plain.phase, self.text()?),
            Key::Model => set(&mut plain.model, self.text()?),
            Key::StartTs => {
                let (start_ts, text) = self.timestamp(None)?;
                plain.start_text = text;
                set(&mut plain.start_ts, start_ts)
            }
            Key::EndTs => {
                let near = plain.start_ts.map(|it| (it, plain.start_text));
                set(&mut plain.end_ts, self.timestamp(near)?.0)
            }
            Key::DurationMs => set(&mut plain.duration_ms, self.number()?),
            Key::PromptTokens => set(&mut plain.usage.prompt_tokens, self.number()?),
            Key::CompletionTokens => set(&mut plain.usage.completion_tokens, self.number()?),
            Key::TotalTokens => set(&mut plain.usage.total_tokens, self.number()?),
            Key::CachedTokens => set(&mut plain.usage.cached_tokens, self.number()?),
            Key::CacheWriteTokens => set(&mut plain.usage.cache_write_tokens, self.number()?),
            Key::ReasoningTokens => set(&mut plain.usage.reasoning_tokens, self.number()?),
            Key::TtftMs => set(&mut plain.ttft_ms, self.number()?),
            Key::Provider => set(&mut plain.provider, self.text()?),
            Key::Attempt => set(&mut plain.attempt, self.number()?),
            Key::Tool => set(&mut plain.tool, self.text()?),
            Key::Success => set(&mut plain.success, self.boolean()?),
            Key::Error => set(&mut plain.error, self.text()?),
            Key::ToolCallId => set(&mut plain.tool_call_id, self.text()?),
        }
    }

    /// The next key and its colon: mostly the predicted one, without a space.
    #[inline]
    fn key(&mut self) -> Option<Key> {
        let rest = &self.bytes[self.at..];
        // Constants, as comparing with one costs an instruction or two.
        let length = match self.predicted {
            Key::Event => length_at_start(rest, b"\"event\":"),
            Key::Phase => length_at_start(rest, b"\"phase\":"),
            Key::Model => length_at_start(rest, b"\"model\":"),
            Key::StartTs => length_at_start(rest, b"\"start_ts\":"),
            Key::EndTs => length_at_start(rest, b"\"end_ts\":"),
            Key::DurationMs => length_at_start(rest, b"\"duration_ms\":"),
            Key::PromptTokens => length_at_start(rest, b"\"prompt_tokens\":"),
            Key::CompletionTokens => length_at_start(rest, b"\"completion_tokens\":"),
            Key::TotalTokens => length_at_start(rest, b"\"total_tokens\":"),
            Key::Success => length_at_start(rest, b"\"success\":"),
            _ => 0,
        };
        if length > 0 {
            self.at += length;
            return Some(self.predicted);
        }
        self.any_key()
    }

    /// Any key and its colon. By length first: what is left then are one or two comparisons with constants.
    fn any_key(&mut self) -> Option<Key> {
        let text = self.text()?.as_bytes();
        let key = match text.len() {
            4 if text == b"tool" => Key::Tool,
            5 => match text {
                b"event" => Key::Event,
                b"phase" => Key::Phase,
                b"model" => Key::Model,
                b"error" => Key::Error,
                _ => return None,
            },
            6 if text == b"end_ts" => Key::EndTs,
            7 => match text {
                b"success" => Key::Success,
                b"ttft_ms" => Key::TtftMs,
                b"attempt" => Key::Attempt,
                _ => return None,
            },
            8 if text == b"start_ts" => Key::StartTs,
            8 if text == b"provider" => Key::Provider,
            11 if text == b"duration_ms" => Key::DurationMs,
            12 if text == b"total_tokens" => Key::TotalTokens,
            12 if text == b"tool_call_id" => Key::ToolCallId,
            13 if text == b"prompt_tokens" => Key::PromptTokens,
            13 if text == b"cached_tokens" => Key::CachedTokens,
            16 if text == b"reasoning_tokens" => Key::ReasoningTokens,
            17 if text == b"completion_tokens" => Key::CompletionTokens,
            18 if text == b"cache_write_tokens" => Key::CacheWriteTokens,
            _ => return None,
        };
        self.expect(b':')?;
        Some(key)
    }

    /// A quoted text without any escape.
    #[inline]
    fn text(&mut self) -> Option<&'a str> {
        self.expect(b'"')?;
        let start = self.at;
        let length = self.bytes[start..]
            .iter()
            .position(|byte| PLAIN[usize::from(*byte)] == 0)?;
        self.at = start + length + 1;
        (self.bytes[start + length] == b'"').then(|| &self.line[start..start + length])
    }

    /// A quoted timestamp in any form; near another one with the same date, that is not read again.
    #[inline]
    fn timestamp(&mut self, near: Option<(Timestamp, &[u8])>) -> Option<(Timestamp, &'a [u8])> {
        self.next_token()?;
        // The canonical form is known by where it ends.
        if let Some([b'"', text @ .., b'"']) = self.bytes.get(self.at..self.at + TEXT_LEN + 2)
            && let Some(timestamp) = parse_canonical(text, near)
        {
            self.at += TEXT_LEN + 2;
            return Some((timestamp, text));
        }
        let text = self.text()?.as_bytes();
        Some((parse(text)?, text))
    }

    /// A whole number that is not negative.
    #[inline]
    fn number(&mut self) -> Option<u64> {
        self.skip_space();
        let start = self.at;
        let mut number = 0_u64;
        while let Some(digit) = self.bytes.get(self.at).map(|it| it.wrapping_sub(b'0'))
            && digit < 10
        {
            number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
            self.at += 1;
        }
        // No digit at all, or a leading zero, which JSON does not know.
        let length = self.at - start;
        (length == 1 || length > 1 && self.bytes[start] != b'0').then_some(number)
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

/// Zero for what ends a plain text: a quote, a backslash, a control character.
static PLAIN: [u8; 256] = {
    let mut table = [1; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = 0;
        control += 1;
    }
    table[b'"' as usize] = 0;
    table[b'\\' as usize] = 0;
    table
};
