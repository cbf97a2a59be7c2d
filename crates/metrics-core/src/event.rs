//! The event types of `metrics.jsonl`.

use std::borrow::Cow;

use rust_decimal::Decimal;

use crate::{CallTime, ErrorText, ModelName, Phase, ProviderName, ToolName, TraceFields, Usage};

/// One line of `metrics.jsonl`.
///
/// Borrowed (`Event<'_>`) on the way to a sink, so that recording copies no text; `Event<'static>` when read
/// from a file. Its serde form and [`Event::encode`] give the same bytes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A call of a model.
    LlmCall(LlmCall<'a>),
    /// A call of a tool.
    ToolCall(ToolCall<'a>),
}

impl Event<'_> {
    /// When the call ran.
    pub fn time(&self) -> &CallTime {
        match self {
            Self::LlmCall(call) => &call.time,
            Self::ToolCall(call) => &call.time,
        }
    }

    /// How the call went.
    pub fn outcome(&self) -> &Outcome<'_> {
        match self {
            Self::LlmCall(call) => &call.outcome,
            Self::ToolCall(call) => &call.outcome,
        }
    }

    /// The same event, free of any borrow.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Self::LlmCall(call) => Event::LlmCall(call.into_owned()),
            Self::ToolCall(call) => Event::ToolCall(call.into_owned()),
        }
    }
}

impl<'a> From<LlmCall<'a>> for Event<'a> {
    fn from(call: LlmCall<'a>) -> Self {
        Self::LlmCall(call)
    }
}

impl<'a> From<ToolCall<'a>> for Event<'a> {
    fn from(call: ToolCall<'a>) -> Self {
        Self::ToolCall(call)
    }
}

/// One finished model call.
///
/// - Shape: a flat JSON object, `"event":"llm_call"`, keys in the order of the fields here.
/// - Source: the seed's "LLM Call Event" and what follows it in the format's description.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LlmCall<'a> {
    /// What the call was for.
    pub phase: Phase<'a>,
    /// The model's name.
    pub model: ModelName<'a>,
    /// `start_ts`, `end_ts` and `duration_ms`.
    pub time: CallTime,
    /// Tokens as the provider counted them.
    pub usage: Usage,
    /// Time to the first token of a streamed reply, in whole milliseconds.
    pub ttft_ms: Option<u64>,
    /// Who served the call.
    pub provider: Option<ProviderName<'a>>,
    /// Which attempt at the same request this was, from 1; absent where nothing retries.
    pub attempt: Option<u32>,
    /// `success` (written only when false) and `error`.
    pub outcome: Outcome<'a>,
    /// Cost in US dollars as the provider reported it; never computed by us.
    pub cost_usd: Option<Decimal>,
    /// `trace_id`, `span_id` and `parent_span_id`.
    pub trace: TraceFields,
    /// Fields of another writer that this version does not know.
    pub extra: ExtraFields,
}

impl<'a> LlmCall<'a> {
    /// A successful call of which nothing more is known.
    pub fn new(
        phase: impl Into<Phase<'a>>,
        model: impl Into<ModelName<'a>>,
        time: CallTime,
    ) -> Self {
        Self {
            phase: phase.into(),
            model: model.into(),
            time,
            usage: Usage::default(),
            ttft_ms: None,
            provider: None,
            attempt: None,
            outcome: Outcome::Success,
            cost_usd: None,
            trace: TraceFields::default(),
            extra: ExtraFields::default(),
        }
    }

    /// The same call, free of any borrow.
    pub fn into_owned(self) -> LlmCall<'static> {
        LlmCall {
            phase: self.phase.into_owned(),
            model: self.model.into_owned(),
            provider: self.provider.map(ProviderName::into_owned),
            outcome: self.outcome.into_owned(),
            time: self.time,
            usage: self.usage,
            ttft_ms: self.ttft_ms,
            attempt: self.attempt,
            cost_usd: self.cost_usd,
            trace: self.trace,
            extra: self.extra,
        }
    }
}

/// One finished tool call.
///
/// - Shape: a flat JSON object, `"event":"tool_call"`, keys in the order of the fields here.
/// - Source: the seed's "Tool Call Event" and what follows it in the format's description.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ToolCall<'a> {
    /// The tool's name.
    pub tool: ToolName<'a>,
    /// `start_ts`, `end_ts` and `duration_ms`.
    pub time: CallTime,
    /// `success`, and `error` when it is false.
    pub outcome: Outcome<'a>,
    /// The model's id for this call.
    pub tool_call_id: Option<Cow<'a, str>>,
    /// `trace_id`, `span_id` and `parent_span_id`.
    pub trace: TraceFields,
    /// Fields of another writer that this version does not know.
    pub extra: ExtraFields,
}

impl<'a> ToolCall<'a> {
    /// A successful call of which nothing more is known.
    pub fn new(tool: impl Into<ToolName<'a>>, time: CallTime) -> Self {
        Self {
            tool: tool.into(),
            time,
            outcome: Outcome::Success,
            tool_call_id: None,
            trace: TraceFields::default(),
            extra: ExtraFields::default(),
        }
    }

    /// The same call, free of any borrow.
    pub fn into_owned(self) -> ToolCall<'static> {
        ToolCall {
            tool: self.tool.into_owned(),
            time: self.time,
            outcome: self.outcome.into_owned(),
            tool_call_id: self.tool_call_id.map(|it| Cow::Owned(it.into_owned())),
            trace: self.trace,
            extra: self.extra,
        }
    }
}

/// How a call went: one value, so that a successful call with an error cannot be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// It did what it should.
    Success,
    /// It did not; an empty text is written as no `error` at all.
    Failure(ErrorText<'a>),
}

impl<'a> Outcome<'a> {
    /// A failure for the reason `error`, cut if it is too long.
    pub fn failure(error: impl Into<Cow<'a, str>>) -> Self {
        Self::Failure(ErrorText::new(error))
    }

    /// Whether the call did what it should.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Success)
    }

    /// Why it failed; `None` for a success and for a failure that gave no reason.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Failure(error) if !error.as_str().is_empty() => Some(error.as_str()),
            _ => None,
        }
    }

    /// The same outcome, free of any borrow.
    pub fn into_owned(self) -> Outcome<'static> {
        match self {
            Self::Success => Outcome::Success,
            Self::Failure(error) => Outcome::Failure(error.into_owned()),
        }
    }
}

/// Fields that this version does not know, kept so that rewriting a line loses nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraFields(Vec<(String, String)>);

impl ExtraFields {
    /// Key and value, the value as compact JSON text, in the order of the line.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, json)| (&**key, &**json))
    }

    /// The value of `key` as compact JSON text.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find_map(|(k, json)| (k == key).then_some(json))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn push(&mut self, key: String, json: &str) {
        self.0.push((key, compact_json(json)));
    }
}

/// Drops white space between the tokens of valid JSON, so that a value fits on one line.
fn compact_json(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|&it| {
            if in_string {
                in_string = escaped || it != '"';
                escaped = !escaped && it == '\\';
                return true;
            }
            in_string = it == '"';
            !matches!(it, ' ' | '\t' | '\n' | '\r')
        })
        .collect()
}
