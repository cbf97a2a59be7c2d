//! What holds for any bytes: for `cargo xtask fuzz`, and for the tests that replay what it found.

use std::{
    io::{self, Read},
    sync::Arc,
};

use metrics_core::{Decoded, LineFault, decode};
use serde::de::IgnoredAny;

use crate::{
    Call, Condition, Format, Key, Kind, Record,
    lines::{Line, LineReader, Range},
    log_line::{LogContent, read_carefully},
    source,
};

/// A name, and what panics where something does not hold.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate.
pub const TARGETS: &[Target] = &[("metrics_lines", metrics_lines), ("condition", condition)];

/// So small that lines outgrow it.
const BUFFER_BYTES: usize = 64;

/// The quick readers give what the careful ones give, however the bytes come and wherever a file is cut in two. The first
/// three bytes say how and where.
fn metrics_lines(input: &[u8]) {
    let [piece, high, low, file @ ..] = input else {
        return;
    };
    let piece = usize::from(*piece) + 1;
    let careful = line_by_line(file);
    assert_eq!(read(file, Range::ALL, usize::MAX), careful);
    assert_eq!(read(file, Range::ALL, piece), careful, "pieces of {piece}");
    let cut = usize::from(u16::from_be_bytes([*high, *low])) % (file.len() + 1);
    if cut > 0 {
        let (from, to) = (cut as u64, u64::MAX);
        let first = read(file, Range { from: 0, to: from }, piece);
        let second = read(&file[cut - 1..], Range { from, to }, usize::MAX);
        let of = |it: Vec<(u64, String)>| it.into_iter().map(|it| it.1).collect::<Vec<_>>();
        let both = [of(first), of(second)].concat();
        assert_eq!(both, of(careful), "cut at {cut}");
    }
}

fn read(file: &[u8], range: Range, piece: usize) -> Vec<(u64, String)> {
    let mut said = Vec::new();
    let mut reader = LineReader::with_buffer(BUFFER_BYTES);
    let read = reader.read(&mut InPieces(file, piece), range, |number, line| {
        said.push((number, say(line)));
    });
    assert!(read.is_ok());
    said
}

/// Gives at most so many bytes at a time.
struct InPieces<'a>(&'a [u8], usize);

impl Read for InPieces<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let len = bytes.len().min(self.1);
        self.0.read(&mut bytes[..len])
    }
}

/// What a reader says that has the whole file before it and knows no quick way.
fn line_by_line(file: &[u8]) -> Vec<(u64, String)> {
    let mut said = Vec::new();
    for (number, whole) in (1..).zip(file.split_inclusive(|it| *it == b'\n')) {
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        let without_bom = line.strip_prefix(b"\xef\xbb\xbf");
        let line = without_bom.filter(|_| number == 1).unwrap_or(line);
        let Some(first) = line.trim_ascii().first() else {
            continue;
        };
        let is_torn =
            || !whole.ends_with(b"\n") && serde_json::from_slice::<IgnoredAny>(line).is_err();
        let is_torn_log = |record: &Record| {
            let end = format!(" event={}_complete", record.kind.as_str());
            !whole.ends_with(b"\n") && !line.trim_ascii_end().ends_with(end.as_bytes())
        };
        let torn = || say(&Line::Unusable(LineFault::Torn.to_string()));
        let content = if first.is_ascii_digit() {
            read_carefully(line, |content| match content {
                LogContent::Call(record) if is_torn_log(&record) => torn(),
                LogContent::Unusable(_) if !whole.ends_with(b"\n") => torn(),
                LogContent::Call(record) => say(&Line::Call(&record)),
                LogContent::Other => say(&Line::OtherLog),
                LogContent::Unusable(reason) => say(&Line::Unusable(reason)),
            })
        } else {
            match decode(line) {
                Ok(Decoded::Event(event)) => match Record::of_event(&event) {
                    Some(record) => say(&Line::Call(&record)),
                    None => say(&Line::Unknown),
                },
                Ok(_) => say(&Line::Unknown),
                Err(_) if is_torn() => torn(),
                Err(fault) => say(&Line::Unusable(fault.to_string())),
            }
        };
        said.push((number, content));
    }
    said
}

fn say(line: &Line<'_>) -> String {
    match line {
        Line::Call(record) => {
            let texts = [
                Some(record.name),
                Some(record.phase),
                record.provider,
                record.error,
                record.worker,
            ];
            let texts =
                texts.map(|it| it.map(|it| std::str::from_utf8(it).expect("texts are UTF-8")));
            let times = [record.start, record.end].map(crate::Moment::unix_micros);
            let Record {
                kind,
                duration_ms,
                usage,
                ttft_ms,
                attempt,
                success,
                cost_usd,
                ..
            } = record;
            format!(
                "{kind:?} {texts:?} {times:?} {duration_ms} {usage:?} {ttft_ms:?} {attempt:?} {success} {cost_usd:?}"
            )
        }
        Line::Unknown => "unknown".to_owned(),
        Line::OtherLog => "another line".to_owned(),
        Line::Unusable(reason) => format!("unusable: {reason}"),
    }
}

/// A text is a condition, or the fault stands within it. A condition holds or its opposite does.
fn condition(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = (text.parse::<Key>(), text.parse::<Format>());
    let condition = match text.parse::<Condition>() {
        Ok(condition) => condition,
        Err(error) => {
            let length = text.chars().count();
            assert!((1..=length + 1).contains(&error.column()), "{error}");
            assert_eq!(error.to_string().lines().count(), 3, "{error}");
            return;
        }
    };
    // Too deep a nesting is refused, and this is one more.
    let Ok(opposite) = format!("not ({text})").parse::<Condition>() else {
        return;
    };
    let source = Arc::new(source::open_stdin().source);
    for record in records() {
        let call = Call {
            record: &record,
            source: &source,
            part: 0,
            line: 1,
            pricing: None,
        };
        assert_ne!(condition.holds(&call), opposite.holds(&call));
    }
}

fn records() -> [Record<'static>; 3] {
    let full = Record {
        kind: Kind::LlmCall,
        name: b"gpt-5-mini",
        phase: b"initial",
        provider: Some(b"openai"),
        duration_ms: u64::MAX,
        ttft_ms: Some(0),
        attempt: Some(u32::MAX),
        success: false,
        error: Some(b"HTTP 503"),
        cost_usd: Some(metrics_core::Decimal::MAX),
        worker: Some(b"w"),
        ..Record::EMPTY
    };
    let small = Record {
        cost_usd: Some(metrics_core::Decimal::new(1, 28)),
        ..full
    };
    [Record::EMPTY, full, small]
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod tests;
