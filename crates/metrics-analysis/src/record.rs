//! One call as all sources tell it: flat, borrowed from its line.
//!
//! Texts are bytes here, as the fast path does not look at them twice; they are UTF-8 in every record.

use metrics_core::{Decimal, Event, Timestamp, Usage};

/// What was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A model.
    LlmCall,
    /// A tool.
    ToolCall,
}

impl Kind {
    /// The event's name in `metrics.jsonl`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LlmCall => "llm_call",
            Self::ToolCall => "tool_call",
        }
    }
}

/// One call.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Record<'a> {
    /// What was called.
    pub kind: Kind,
    /// The model's or the tool's name.
    pub name: &'a [u8],
    /// What a model call was for; empty for a tool call.
    pub phase: &'a [u8],
    /// Who served a model call, where known.
    pub provider: Option<&'a [u8]>,
    /// When it started.
    pub start: Moment,
    /// When it ended.
    pub end: Moment,
    /// How long it took, as written.
    pub duration_ms: u64,
    /// Tokens of a model call.
    pub usage: Usage,
    /// Time to the first token, where known.
    pub ttft_ms: Option<u64>,
    /// Which attempt at the same request, where known.
    pub attempt: Option<u32>,
    /// Whether it did what it should.
    pub success: bool,
    /// Why not, where it says so.
    pub error: Option<&'a [u8]>,
    /// What the provider said it cost.
    pub cost_usd: Option<Decimal>,
    /// The worker that the line itself names: only log lines do.
    pub worker: Option<&'a [u8]>,
}

impl<'a> Record<'a> {
    pub(crate) const EMPTY: Self = Self {
        kind: Kind::ToolCall,
        name: b"",
        phase: b"",
        provider: None,
        start: Moment::EPOCH,
        end: Moment::EPOCH,
        duration_ms: 0,
        usage: Usage {
            prompt_tokens: None,
            completion_tokens: None,
            total_tokens: None,
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
        },
        ttft_ms: None,
        attempt: None,
        success: true,
        error: None,
        cost_usd: None,
        worker: None,
    };

    /// Makes it [`EMPTY`](Self::EMPTY) as far as a reader may leave something out: in half the time of a copy.
    #[inline]
    pub(crate) fn reset(&mut self) {
        let Self {
            kind: _,
            name: _,
            phase,
            provider,
            start: _,
            end: _,
            duration_ms: _,
            usage,
            ttft_ms,
            attempt,
            success,
            error,
            cost_usd,
            worker,
        } = self;
        *phase = b"";
        (*provider, *error, *worker) = (None, None, None);
        (*ttft_ms, *attempt, *cost_usd) = (None, None, None);
        *success = true;
        usage.prompt_tokens = None;
        usage.completion_tokens = None;
        usage.total_tokens = None;
        usage.cached_tokens = None;
        usage.cache_write_tokens = None;
        usage.reasoning_tokens = None;
    }

    /// The record of an event; `None` for an event that this version has no use for.
    pub fn of_event(event: &'a Event<'_>) -> Option<Self> {
        let mut record = Record {
            start: event.time().start_ts().into(),
            end: event.time().end_ts().into(),
            duration_ms: event.time().duration_ms(),
            success: event.outcome().is_success(),
            error: event.outcome().error().map(str::as_bytes),
            ..Self::EMPTY
        };
        match event {
            Event::LlmCall(call) => {
                record.kind = Kind::LlmCall;
                record.name = call.model.as_str().as_bytes();
                record.phase = call.phase.as_str().as_bytes();
                record.provider = call.provider.as_ref().map(|it| it.as_str().as_bytes());
                record.usage = call.usage;
                record.ttft_ms = call.ttft_ms;
                record.attempt = call.attempt;
                record.cost_usd = call.cost_usd;
            }
            Event::ToolCall(call) => record.name = call.tool.as_str().as_bytes(),
            _ => return None,
        }
        Some(record)
    }

    /// The model's name, of a model call.
    pub fn model(&self) -> Option<&'a [u8]> {
        (self.kind == Kind::LlmCall).then_some(self.name)
    }

    /// The tool's name, of a tool call.
    pub fn tool(&self) -> Option<&'a [u8]> {
        (self.kind == Kind::ToolCall).then_some(self.name)
    }

    /// What a model call was for.
    pub fn phase(&self) -> Option<&'a [u8]> {
        (self.kind == Kind::LlmCall).then_some(self.phase)
    }
}

/// A point in time whose digits are put together only when somebody asks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    day_micros: i64,
    /// Two words of eight digits, each digit in its byte: `hh:mm:ss` and `.ffffffZ`, zero where no digit stands.
    clock: u64,
    fraction: u64,
}

impl PartialEq for Moment {
    fn eq(&self, other: &Self) -> bool {
        self.unix_micros() == other.unix_micros()
    }
}

impl Moment {
    const EPOCH: Self = Self::new(0, 0, 0);

    pub(crate) const fn new(day_micros: i64, clock: u64, fraction: u64) -> Self {
        Self {
            day_micros,
            clock,
            fraction,
        }
    }

    /// Microseconds since the Unix epoch.
    pub const fn unix_micros(self) -> i64 {
        let seconds = (two(self.clock, 0) * 60 + two(self.clock, 3)) * 60 + two(self.clock, 6);
        let micros =
            (two(self.fraction, 1) * 100 + two(self.fraction, 3)) * 100 + two(self.fraction, 5);
        self.day_micros + (seconds * 1_000_000 + micros).cast_signed()
    }
}

/// The number of two digits, each in a byte, the first at byte `at`.
const fn two(digits: u64, at: u32) -> u64 {
    let pair = digits >> (8 * at);
    (pair & 0xff) * 10 + (pair >> 8 & 0xff)
}

impl From<Timestamp> for Moment {
    fn from(time: Timestamp) -> Self {
        Self::new(time.unix_micros(), 0, 0)
    }
}

impl From<Moment> for Timestamp {
    fn from(moment: Moment) -> Self {
        Self::from_unix_micros(moment.unix_micros())
    }
}
