//! Records of any Tier 3 lines, which `log-format`'s parser takes apart.

use std::borrow::Cow;

use log_format::{LogLine, parse_line};
use metrics_core::Timestamp;

use crate::record::{Kind, Record};

const LLM_CALL: &[u8] = b"llm_call_complete";
const TOOL_CALL: &[u8] = b"tool_call_complete";

/// What a log line is to us.
#[derive(Debug, PartialEq)]
pub(crate) enum LogContent<R> {
    Call(R),
    /// A line about something else.
    Other,
    /// Nothing usable, and why.
    Unusable(String),
}

/// Whether the line of a call ends as our writer ends it: with its event, which says that nothing was cut off.
pub(crate) fn ends_whole(line: &[u8], kind: Kind) -> bool {
    let event = match kind {
        Kind::LlmCall => LLM_CALL,
        Kind::ToolCall => TOOL_CALL,
    };
    let rest = line.trim_ascii_end().strip_suffix(event);
    rest.is_some_and(|it| it.ends_with(b" event="))
}

/// Takes any line apart, and hands it to `take` as far as it is a call.
pub(crate) fn read_carefully<T>(line: &[u8], take: impl FnOnce(LogContent<Record<'_>>) -> T) -> T {
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to() + 1;
            return take(LogContent::Unusable(format!("not UTF-8 at byte {at}")));
        }
    };
    match parse_line(text.strip_suffix('\r').unwrap_or(text)) {
        Ok(parsed) => take(content(&parsed)),
        Err(error) => take(LogContent::Unusable(format!("no log line: {error}"))),
    }
}

fn content<'a>(line: &'a LogLine<'_>) -> LogContent<Record<'a>> {
    let mut draft = Draft::default();
    match line.message.as_bytes() {
        LLM_CALL if line.is_telemetry() => draft.record.kind = Kind::LlmCall,
        TOOL_CALL if line.is_telemetry() => draft.record.kind = Kind::ToolCall,
        _ => return LogContent::Other,
    }
    for (key, value) in &line.fields {
        let value = match value {
            Cow::Borrowed(value) => value.as_bytes(),
            Cow::Owned(value) => value.as_bytes(),
        };
        if let Err(reason) = draft.set(key.as_bytes(), value) {
            return LogContent::Unusable(reason);
        }
    }
    match draft.finish(line.unix_seconds) {
        Ok(record) => LogContent::Call(record),
        Err(missing) => LogContent::Unusable(format!("field `{missing}` is missing")),
    }
}

/// What the fields say so far. A key that comes twice counts as it comes last, as for `LogLine::get`.
struct Draft<'a> {
    record: Record<'a>,
    name: [Option<&'a [u8]>; 2],
    phase: Option<&'a [u8]>,
    duration_ms: Option<u64>,
    success: Option<bool>,
}

impl Default for Draft<'_> {
    fn default() -> Self {
        Self {
            record: Record::EMPTY,
            name: [None; 2],
            phase: None,
            duration_ms: None,
            success: None,
        }
    }
}

impl<'a> Draft<'a> {
    /// Takes a value, if its key is one of ours.
    fn set(&mut self, key: &[u8], value: &'a [u8]) -> Result<(), String> {
        let record = &mut self.record;
        let usage = &mut record.usage;
        match key {
            b"model" => self.name[0] = Some(value),
            b"tool" => self.name[1] = Some(value),
            b"phase" => self.phase = Some(value),
            b"duration_ms" => self.duration_ms = Some(number(key, value)?),
            b"worker_id" => record.worker = Some(value),
            b"provider" => record.provider = Some(value),
            b"error" => record.error = Some(value),
            b"prompt_tokens" => usage.prompt_tokens = Some(number(key, value)?),
            b"completion_tokens" => usage.completion_tokens = Some(number(key, value)?),
            b"total_tokens" => usage.total_tokens = Some(number(key, value)?),
            b"cached_tokens" => usage.cached_tokens = Some(number(key, value)?),
            b"cache_write_tokens" => usage.cache_write_tokens = Some(number(key, value)?),
            b"reasoning_tokens" => usage.reasoning_tokens = Some(number(key, value)?),
            b"ttft_ms" => record.ttft_ms = Some(number(key, value)?),
            b"attempt" => record.attempt = Some(number(key, value)?),
            b"cost_usd" => record.cost_usd = Some(number(key, value)?),
            b"success" => {
                self.success = Some(match value {
                    b"True" | b"true" => true,
                    b"False" | b"false" => false,
                    _ => return Err("field `success`: neither True nor False".to_owned()),
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The record, or the name of the field that is missing.
    fn finish(self, unix_seconds: i64) -> Result<Record<'a>, &'static str> {
        let mut record = self.record;
        record.duration_ms = self.duration_ms.ok_or("duration_ms")?;
        match record.kind {
            Kind::LlmCall => {
                record.name = self.name[0].ok_or("model")?;
                record.phase = self.phase.ok_or("phase")?;
                record.success = self.success.unwrap_or(record.error.is_none());
            }
            Kind::ToolCall => {
                record = Record {
                    name: self.name[1].ok_or("tool")?,
                    success: self.success.ok_or("success")?,
                    kind: record.kind,
                    duration_ms: record.duration_ms,
                    worker: record.worker,
                    error: record.error,
                    ..Record::EMPTY
                };
            }
        }
        record.error = record.error.filter(|it| !record.success && !it.is_empty());
        let end = Timestamp::from_unix_micros(unix_seconds.saturating_mul(1_000_000));
        let micros = i64::try_from(record.duration_ms.saturating_mul(1000)).unwrap_or(i64::MAX);
        record.end = end.into();
        record.start = end.plus_micros(micros.saturating_neg()).into();
        Ok(record)
    }
}

fn number<T: std::str::FromStr>(key: &[u8], value: &[u8]) -> Result<T, String> {
    // Rust reads a plus sign, which no writer of ours puts there.
    let text = std::str::from_utf8(value).ok();
    let text = text.filter(|it| it.starts_with(|c: char| c.is_ascii_digit()));
    text.and_then(|it| it.parse().ok()).ok_or_else(|| {
        let key = String::from_utf8_lossy(key);
        format!("field `{key}`: not a number that could stand there")
    })
}

#[cfg(test)]
mod tests;
