//! Reading one line: tolerant of order, spaces and unknown fields, strict about what the numbers say.

use std::{borrow::Cow, fmt};

use rust_decimal::Decimal;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess},
};
use serde_json::value::RawValue;

use crate::{
    CallTime, ErrorText, Event, ExtraFields, LlmCall, Outcome, Timestamp, ToolCall, TraceFields,
    Usage, printable::printable, scan::scan,
};

const LLM_CALL: &str = "llm_call";
const TOOL_CALL: &str = "tool_call";
const KNOWN_EVENTS: [&str; 2] = [LLM_CALL, TOOL_CALL];

/// How much of a fault's message is kept, in characters.
const MAX_FAULT_CHARS: usize = 200;

/// What a readable line says.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every line is an event; boxing each would cost an allocation a line"
)]
pub enum Decoded<'a> {
    /// An event of this version.
    Event(Event<'a>),
    /// An event of another version or writer, by its name: passed over, not an error.
    Unknown(String),
}

/// Why a line could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineFault {
    /// Not a JSON object, or a field of the wrong type.
    #[error("{0}")]
    Json(String),
    /// A field that every event of its kind has is not there.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// The line is longer than the reader takes.
    #[error("longer than {limit} bytes")]
    TooLong {
        /// The reader's limit, in bytes.
        limit: usize,
    },
    /// The file ends within the line: its writer died, or is at work.
    #[error("torn: the file ends within this line")]
    Torn,
}

/// Reads one line, with or without its line end.
///
/// # Errors
/// A [`LineFault`] that says what is wrong with it.
pub fn decode(line: &[u8]) -> Result<Decoded<'_>, LineFault> {
    if let Some(event) = scan(line) {
        return Ok(Decoded::Event(event));
    }
    decode_carefully(line)
}

/// Reads any line; the judge of [`scan`].
#[inline(never)]
pub(crate) fn decode_carefully(line: &[u8]) -> Result<Decoded<'_>, LineFault> {
    match serde_json::from_slice::<Fields<'_>>(line) {
        Ok(fields) => fields.into_decoded(),
        Err(error) => match foreign_event(line) {
            Some(name) => Ok(Decoded::Unknown(name)),
            None => Err(LineFault::Json(explain(&error))),
        },
    }
}

/// The name of an event we do not know, whose fields may use our keys for values of other types.
#[cold]
fn foreign_event(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        event: String,
    }
    // Without this an array would do as well.
    if !line.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let name = serde_json::from_slice::<Named>(line).ok()?.event;
    (!KNOWN_EVENTS.contains(&&*name)).then_some(name)
}

/// What is wrong, for a person: of the position only the column means something, and the message may quote the line,
/// which can be of any length and hold anything.
#[cold]
fn explain(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let (what, at) = match message.rsplit_once(" at line 1 column ") {
        Some((what, column)) => (what, format!(" at column {column}")),
        None => (&*message, String::new()),
    };
    printable(what, MAX_FAULT_CHARS) + &at
}

impl<'de: 'a, 'a> Deserialize<'de> for Event<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Fields::deserialize(deserializer)?;
        match fields.into_decoded().map_err(de::Error::custom)? {
            Decoded::Event(event) => Ok(event),
            Decoded::Unknown(name) => {
                Err(de::Error::custom(format_args!("unknown event `{name}`")))
            }
        }
    }
}

/// All known fields of all events; which of them belong together is decided at the end, as `event` may come last.
#[derive(Default)]
struct Fields<'a> {
    event: Option<Cow<'a, str>>,
    phase: Option<Cow<'a, str>>,
    model: Option<Cow<'a, str>>,
    tool: Option<Cow<'a, str>>,
    start_ts: Option<Timestamp>,
    end_ts: Option<Timestamp>,
    duration_ms: Option<u64>,
    usage: Usage,
    ttft_ms: Option<u64>,
    provider: Option<Cow<'a, str>>,
    attempt: Option<u32>,
    success: Option<bool>,
    error: Option<Cow<'a, str>>,
    cost_usd: Option<Decimal>,
    tool_call_id: Option<Cow<'a, str>>,
    trace: TraceFields,
    extra: ExtraFields,
}

impl<'a> Fields<'a> {
    fn into_decoded(self) -> Result<Decoded<'a>, LineFault> {
        let Some(event) = &self.event else {
            return Err(LineFault::Missing("event"));
        };
        match &**event {
            LLM_CALL => self.into_llm_call().map(|it| Decoded::Event(it.into())),
            TOOL_CALL => self.into_tool_call().map(|it| Decoded::Event(it.into())),
            unknown => Ok(Decoded::Unknown(unknown.to_owned())),
        }
    }

    fn into_llm_call(mut self) -> Result<LlmCall<'a>, LineFault> {
        self.keep_as_extra("tool", |it| it.tool.take());
        self.keep_as_extra("tool_call_id", |it| it.tool_call_id.take());
        let success = self.success.unwrap_or(self.error.is_none());
        if success && self.error.is_some() {
            // Our line leaves a success unsaid, and then the error would read as a failure.
            self.extra.push("success".to_owned(), "true");
        }
        let outcome = self.outcome(success);
        let time = self.time()?;
        let phase = self.phase.ok_or(LineFault::Missing("phase"))?;
        let model = self.model.ok_or(LineFault::Missing("model"))?;
        let mut call = LlmCall::new(phase, model, time);
        call.usage = self.usage;
        call.ttft_ms = self.ttft_ms;
        call.provider = self.provider.map(Into::into);
        call.attempt = self.attempt;
        call.outcome = outcome;
        call.cost_usd = self.cost_usd;
        call.trace = self.trace;
        call.extra = self.extra;
        Ok(call)
    }

    fn into_tool_call(mut self) -> Result<ToolCall<'a>, LineFault> {
        self.keep_as_extra("phase", |it| it.phase.take());
        self.keep_as_extra("model", |it| it.model.take());
        self.keep_as_extra("provider", |it| it.provider.take());
        self.keep_numbers_as_extra();
        let success = self.success.ok_or(LineFault::Missing("success"))?;
        let outcome = self.outcome(success);
        let time = self.time()?;
        let tool = self.tool.ok_or(LineFault::Missing("tool"))?;
        let mut call = ToolCall::new(tool, time);
        call.outcome = outcome;
        call.tool_call_id = self.tool_call_id;
        call.trace = self.trace;
        call.extra = self.extra;
        Ok(call)
    }

    fn time(&self) -> Result<CallTime, LineFault> {
        Ok(CallTime::as_written(
            self.start_ts.ok_or(LineFault::Missing("start_ts"))?,
            self.end_ts.ok_or(LineFault::Missing("end_ts"))?,
            self.duration_ms.ok_or(LineFault::Missing("duration_ms"))?,
        ))
    }

    /// Our type has no successful call with an error; a foreign line's is kept as an unknown field.
    fn outcome(&mut self, success: bool) -> Outcome<'a> {
        if success {
            self.keep_as_extra("error", |it| it.error.take());
            return Outcome::Success;
        }
        Outcome::Failure(ErrorText::as_written(self.error.take().unwrap_or_default()))
    }

    fn keep_as_extra(&mut self, key: &str, take: impl FnOnce(&mut Self) -> Option<Cow<'a, str>>) {
        if let Some(text) = take(self)
            && let Ok(json) = serde_json::to_string(&text)
        {
            self.extra.push(key.to_owned(), &json);
        }
    }

    /// A model call's numbers on a tool call mean nothing to us, but are not ours to drop.
    fn keep_numbers_as_extra(&mut self) {
        let usage = std::mem::take(&mut self.usage);
        let numbers = [
            ("prompt_tokens", usage.prompt_tokens),
            ("completion_tokens", usage.completion_tokens),
            ("total_tokens", usage.total_tokens),
            ("cached_tokens", usage.cached_tokens),
            ("cache_write_tokens", usage.cache_write_tokens),
            ("reasoning_tokens", usage.reasoning_tokens),
            ("ttft_ms", self.ttft_ms.take()),
            ("attempt", self.attempt.take().map(u64::from)),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                self.extra.push(key.to_owned(), &number.to_string());
            }
        }
        if let Some(cost) = self.cost_usd.take() {
            self.extra.push("cost_usd".to_owned(), &cost.to_string());
        }
    }
}

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event as a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Fields::default();
                while let Some(Text(key)) = map.next_key()? {
                    read_field(key, &mut map, &mut fields)?;
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

fn read_field<'de, A: MapAccess<'de>>(
    key: Cow<'de, str>,
    map: &mut A,
    fields: &mut Fields<'de>,
) -> Result<(), A::Error> {
    match &*key {
        "event" => set_text(&mut fields.event, "event", map),
        "phase" => set_text(&mut fields.phase, "phase", map),
        "model" => set_text(&mut fields.model, "model", map),
        "tool" => set_text(&mut fields.tool, "tool", map),
        "start_ts" => set(&mut fields.start_ts, "start_ts", map),
        "end_ts" => set(&mut fields.end_ts, "end_ts", map),
        "duration_ms" => set(&mut fields.duration_ms, "duration_ms", map),
        "prompt_tokens" => set(&mut fields.usage.prompt_tokens, "prompt_tokens", map),
        "completion_tokens" => set(
            &mut fields.usage.completion_tokens,
            "completion_tokens",
            map,
        ),
        "total_tokens" => set(&mut fields.usage.total_tokens, "total_tokens", map),
        "cached_tokens" => set(&mut fields.usage.cached_tokens, "cached_tokens", map),
        "cache_write_tokens" => set(
            &mut fields.usage.cache_write_tokens,
            "cache_write_tokens",
            map,
        ),
        "reasoning_tokens" => set(&mut fields.usage.reasoning_tokens, "reasoning_tokens", map),
        "ttft_ms" => set(&mut fields.ttft_ms, "ttft_ms", map),
        "provider" => set_text(&mut fields.provider, "provider", map),
        "attempt" => set(&mut fields.attempt, "attempt", map),
        "success" => set(&mut fields.success, "success", map),
        "error" => set_text(&mut fields.error, "error", map),
        "cost_usd" => {
            let mut cost: Option<Cost> = None;
            set(&mut cost, "cost_usd", map)?;
            put(&mut fields.cost_usd, "cost_usd", cost.map(|it| it.0))
        }
        "tool_call_id" => set_text(&mut fields.tool_call_id, "tool_call_id", map),
        "trace_id" => read_id(key, |it| &mut it.trace_id, map, fields),
        "span_id" => read_id(key, |it| &mut it.span_id, map, fields),
        "parent_span_id" => read_id(key, |it| &mut it.parent_span_id, map, fields),
        _ => {
            let value: &RawValue = map.next_value()?;
            fields.extra.push(key.into_owned(), value.get());
            Ok(())
        }
    }
}

/// Reads a value that may be `null`, which says the same as an absent field.
fn set<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    slot: &mut Option<T>,
    key: &'static str,
    map: &mut A,
) -> Result<(), A::Error> {
    // The position that `serde_json` adds is of little use without the field's name.
    let value = map
        .next_value::<Option<T>>()
        .map_err(|it| de::Error::custom(format_args!("field `{key}`: {it}")))?;
    put(slot, key, value)
}

fn set_text<'de, A: MapAccess<'de>>(
    slot: &mut Option<Cow<'de, str>>,
    key: &'static str,
    map: &mut A,
) -> Result<(), A::Error> {
    let mut text: Option<Text<'de>> = None;
    set(&mut text, key, map)?;
    put(slot, key, text.map(|it| it.0))
}

fn put<T, E: de::Error>(
    slot: &mut Option<T>,
    key: &'static str,
    value: Option<T>,
) -> Result<(), E> {
    if slot.is_some() {
        return Err(E::duplicate_field(key));
    }
    *slot = value;
    Ok(())
}

/// Reads an id; one that is not in W3C's form is kept as an unknown field.
fn read_id<'de, A: MapAccess<'de>, T: std::str::FromStr>(
    key: Cow<'de, str>,
    slot: fn(&mut TraceFields) -> &mut Option<T>,
    map: &mut A,
    fields: &mut Fields<'de>,
) -> Result<(), A::Error> {
    let value: &RawValue = map.next_value()?;
    let text = value.get();
    let id = text
        .strip_prefix('"')
        .and_then(|it| it.strip_suffix('"')?.parse().ok());
    let slot = slot(&mut fields.trace);
    if slot.is_none() && id.is_some() {
        *slot = id;
    } else if text != "null" {
        fields.extra.push(key.into_owned(), text);
    }
    Ok(())
}

/// A text, borrowed from the line where it holds no escape.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// A JSON number taken digit by digit, so that money never passes through a float.
struct Cost(Decimal);

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        let parsed = if text.contains(['e', 'E']) {
            Decimal::from_scientific(text)
        } else {
            text.parse()
        };
        parsed
            .map(Cost)
            .map_err(|_| de::Error::custom(format_args!("`{text}` is not an amount of money")))
    }
}
