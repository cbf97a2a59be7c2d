//! Writing the canonical line, without a map and without allocating.

use std::fmt::Write as _;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use crate::{
    Event, LlmCall, Outcome, ToolCall, TraceFields,
    ascii::{Cursor, append},
    timestamp::{TEXT_LEN, Timestamp},
};

impl Event<'_> {
    /// Appends the canonical line to `out`: one JSON object, without the line end.
    pub fn encode(&self, out: &mut Vec<u8>) {
        append(out, |out| match self {
            Self::LlmCall(call) => encode_llm_call(call, out),
            Self::ToolCall(call) => encode_tool_call(call, out),
        });
    }

    /// The canonical line as a text, without the line end.
    pub fn to_line(&self) -> String {
        let mut out = Vec::new();
        self.encode(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn encode_llm_call(call: &LlmCall<'_>, out: &mut Cursor<'_>) {
    out.put(b"{\"event\":\"llm_call\",\"phase\":\"");
    put_text(call.phase.as_str(), out);
    out.put(b"\",\"model\":\"");
    put_text(call.model.as_str(), out);
    put_time(&call.time, out);
    let usage = &call.usage;
    put_number(b",\"prompt_tokens\":", usage.prompt_tokens, out);
    put_number(b",\"completion_tokens\":", usage.completion_tokens, out);
    put_number(b",\"total_tokens\":", usage.total_tokens, out);
    put_number(b",\"cached_tokens\":", usage.cached_tokens, out);
    put_number(b",\"cache_write_tokens\":", usage.cache_write_tokens, out);
    put_number(b",\"reasoning_tokens\":", usage.reasoning_tokens, out);
    put_number(b",\"ttft_ms\":", call.ttft_ms, out);
    if let Some(provider) = &call.provider {
        out.put(b",\"provider\":");
        put_string(provider.as_str(), out);
    }
    put_number(b",\"attempt\":", call.attempt.map(u64::from), out);
    if !call.outcome.is_success() {
        out.put(b",\"success\":false");
        put_error(&call.outcome, out);
    }
    if let Some(cost) = &call.cost_usd {
        out.put(b",\"cost_usd\":");
        put_decimal(cost, out);
    }
    put_trace(&call.trace, out);
    put_extra(&call.extra, out);
    out.put(b"}");
}

fn encode_tool_call(call: &ToolCall<'_>, out: &mut Cursor<'_>) {
    out.put(b"{\"event\":\"tool_call\",\"tool\":\"");
    put_text(call.tool.as_str(), out);
    put_time(&call.time, out);
    if call.outcome.is_success() {
        out.put(b",\"success\":true");
    } else {
        out.put(b",\"success\":false");
        put_error(&call.outcome, out);
    }
    if let Some(id) = &call.tool_call_id {
        out.put(b",\"tool_call_id\":");
        put_string(id, out);
    }
    put_trace(&call.trace, out);
    put_extra(&call.extra, out);
    out.put(b"}");
}

/// Goes on right behind a text: the closing quote is ours.
fn put_time(time: &crate::CallTime, out: &mut Cursor<'_>) {
    const FORM: [u8; 96] = *b"\",\"start_ts\":\"0000-00-00T00:00:00.000000Z\",\"end_ts\":\"0000-00-00T00:00:00.000000Z\",\"duration_ms\":";
    const START: usize = 14;
    const END: usize = START + TEXT_LEN + 12;
    out.put_with::<{ FORM.len() }>(|text| {
        *text = FORM;
        for (at, stamp) in [(START, time.start_ts()), (END, time.end_ts())] {
            if let Some(place) = text[at..].first_chunk_mut() {
                stamp.render(place);
            }
        }
    });
    out.put_number(time.duration_ms());
}

fn put_error(outcome: &Outcome<'_>, out: &mut Cursor<'_>) {
    if let Some(error) = outcome.error() {
        out.put(b",\"error\":");
        put_string(error, out);
    }
}

fn put_trace(trace: &TraceFields, out: &mut Cursor<'_>) {
    if let Some(id) = trace.trace_id {
        out.put(b",\"trace_id\":\"");
        out.put(&id.render());
        out.put(b"\"");
    }
    if let Some(id) = trace.span_id {
        out.put(b",\"span_id\":\"");
        out.put(&id.render());
        out.put(b"\"");
    }
    if let Some(id) = trace.parent_span_id {
        out.put(b",\"parent_span_id\":\"");
        out.put(&id.render());
        out.put(b"\"");
    }
}

fn put_extra(extra: &crate::ExtraFields, out: &mut Cursor<'_>) {
    for (key, json) in extra.iter() {
        out.put(b",");
        put_string(key, out);
        out.put(b":");
        out.put_bytes(json.as_bytes());
    }
}

#[inline]
fn put_number<const N: usize>(key: &[u8; N], value: Option<u64>, out: &mut Cursor<'_>) {
    if let Some(value) = value {
        out.put(key);
        out.put_number(value);
    }
}

fn put_decimal(value: &Decimal, out: &mut Cursor<'_>) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value}");
}

/// A JSON string.
fn put_string(text: &str, out: &mut Cursor<'_>) {
    out.put(b"\"");
    put_text(text, out);
    out.put(b"\"");
}

/// The inside of a JSON string, with the escapes that `serde_json` chooses.
fn put_text(text: &str, out: &mut Cursor<'_>) {
    if !out.put_if_plain(text) {
        put_escaped(text.as_bytes(), out);
    }
}

#[cold]
fn put_escaped(bytes: &[u8], out: &mut Cursor<'_>) {
    for &byte in bytes {
        match ESCAPE[usize::from(byte)] {
            0 => out.put(&[byte]),
            b'u' => {
                out.put(b"\\u00");
                out.put(&[b"0123456789abcdef"[usize::from(byte >> 4)]]);
                out.put(&[b"0123456789abcdef"[usize::from(byte & 15)]]);
            }
            letter => out.put(&[b'\\', letter]),
        }
    }
}

/// For each byte the letter after its backslash, or zero if it stands for itself.
static ESCAPE: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::LlmCall(call) => call.serialize(serializer),
            Self::ToolCall(call) => call.serialize(serializer),
        }
    }
}

impl Serialize for LlmCall<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", "llm_call")?;
        map.serialize_entry("phase", self.phase.as_str())?;
        map.serialize_entry("model", self.model.as_str())?;
        serialize_time(&self.time, &mut map)?;
        let usage = &self.usage;
        serialize_some("prompt_tokens", usage.prompt_tokens, &mut map)?;
        serialize_some("completion_tokens", usage.completion_tokens, &mut map)?;
        serialize_some("total_tokens", usage.total_tokens, &mut map)?;
        serialize_some("cached_tokens", usage.cached_tokens, &mut map)?;
        serialize_some("cache_write_tokens", usage.cache_write_tokens, &mut map)?;
        serialize_some("reasoning_tokens", usage.reasoning_tokens, &mut map)?;
        serialize_some("ttft_ms", self.ttft_ms, &mut map)?;
        let provider = self.provider.as_ref();
        serialize_some(
            "provider",
            provider.map(crate::ProviderName::as_str),
            &mut map,
        )?;
        serialize_some("attempt", self.attempt, &mut map)?;
        if !self.outcome.is_success() {
            map.serialize_entry("success", &false)?;
            serialize_some("error", self.outcome.error(), &mut map)?;
        }
        if let Some(cost) = &self.cost_usd {
            map.serialize_entry("cost_usd", &raw(cost.to_string())?)?;
        }
        serialize_trace(&self.trace, &mut map)?;
        serialize_extra(&self.extra, &mut map)?;
        map.end()
    }
}

impl Serialize for ToolCall<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", "tool_call")?;
        map.serialize_entry("tool", self.tool.as_str())?;
        serialize_time(&self.time, &mut map)?;
        map.serialize_entry("success", &self.outcome.is_success())?;
        serialize_some("error", self.outcome.error(), &mut map)?;
        serialize_some("tool_call_id", self.tool_call_id.as_deref(), &mut map)?;
        serialize_trace(&self.trace, &mut map)?;
        serialize_extra(&self.extra, &mut map)?;
        map.end()
    }
}

fn serialize_time<M: SerializeMap>(time: &crate::CallTime, map: &mut M) -> Result<(), M::Error> {
    map.serialize_entry::<_, Timestamp>("start_ts", &time.start_ts())?;
    map.serialize_entry::<_, Timestamp>("end_ts", &time.end_ts())?;
    map.serialize_entry("duration_ms", &time.duration_ms())
}

fn serialize_trace<M: SerializeMap>(trace: &TraceFields, map: &mut M) -> Result<(), M::Error> {
    serialize_some("trace_id", trace.trace_id, map)?;
    serialize_some("span_id", trace.span_id, map)?;
    serialize_some("parent_span_id", trace.parent_span_id, map)
}

fn serialize_extra<M: SerializeMap>(
    extra: &crate::ExtraFields,
    map: &mut M,
) -> Result<(), M::Error> {
    for (key, json) in extra.iter() {
        map.serialize_entry(key, &raw(json.to_owned())?)?;
    }
    Ok(())
}

fn serialize_some<M: SerializeMap, T: Serialize>(
    key: &str,
    value: Option<T>,
    map: &mut M,
) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(key, &value),
        None => Ok(()),
    }
}

fn raw<E: serde::ser::Error>(json: String) -> Result<Box<RawValue>, E> {
    RawValue::from_string(json).map_err(E::custom)
}
