//! What holds for any bytes: for `cargo xtask fuzz`, and for the tests that replay what it found.

use std::io::{self, BufRead as _};

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::{
    Decoded, Event, EventReader, Line, LineContent, LineFault, Timestamp, decode,
    decode::decode_carefully,
    scan::scan,
    timestamp::{parse, parse_canonical},
};

/// A name, and what panics where something does not hold.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate.
pub const TARGETS: &[Target] = &[
    ("event_line", event_line),
    ("event_reader", event_reader),
    ("timestamp", timestamp),
];

/// The quick way and the careful one agree, both agree with `serde_json`, and what was read is written and read again.
fn event_line(line: &[u8]) {
    let careful = decode_carefully(line);
    if let Some(quick) = scan(line) {
        assert_eq!(careful, Ok(Decoded::Event(quick)));
    }
    let decoded = match decode(line) {
        Ok(decoded) => decoded,
        Err(fault) => {
            let text = fault.to_string();
            assert!(
                text.chars().count() < 2000 && !text.contains(char::is_control),
                "{text:?}"
            );
            return;
        }
    };
    let is_json = serde_json::from_slice::<IgnoredAny>(line).is_ok();
    assert!(is_json, "no JSON: {decoded:?}");
    // One that reads a number beyond its range refuses what only keeps it.
    let object = serde_json::from_slice::<Map<String, Value>>(line).ok();
    let says = |key: &str| {
        object
            .as_ref()
            .map(|it| it.get(key).unwrap_or(&Value::Null))
    };
    let event = match &decoded {
        Decoded::Event(event) => event,
        Decoded::Unknown(name) => {
            assert_eq!(says("event").unwrap_or(&name.as_str().into()), name);
            return;
        }
    };
    let time = event.time();
    let (kind, name, name_key) = match event {
        Event::LlmCall(call) => ("llm_call", call.model.as_str(), "model"),
        Event::ToolCall(call) => ("tool_call", call.tool.as_str(), "tool"),
    };
    for (key, expected) in [
        ("event", Value::from(kind)),
        (name_key, name.into()),
        ("duration_ms", time.duration_ms().into()),
    ] {
        assert_eq!(says(key).unwrap_or(&expected), &expected, "{key}");
    }
    for (key, stamp) in [("start_ts", time.start_ts()), ("end_ts", time.end_ts())] {
        let read = says(key).and_then(Value::as_str).map(str::parse);
        assert_eq!(read.unwrap_or(Ok(stamp)), Ok(stamp), "{key}");
    }
    let written = event.to_line();
    assert!(!written.contains('\n'), "{written:?}");
    assert_eq!(serde_json::to_string(event).ok().as_ref(), Some(&written));
    assert_eq!(decode(written.as_bytes()), Ok(decoded), "{written}");
}

/// A file is read as its lines are, one by one, however it comes and grows. The first two bytes say how.
fn event_reader(input: &[u8]) {
    let [piece, limit, file @ ..] = input else {
        return;
    };
    let (piece, limit) = (usize::from(*piece) + 1, 4 * usize::from(*limit));
    let growing = Growing {
        rest: file,
        piece,
        given: false,
    };
    let mut reader =
        EventReader::new(io::BufReader::with_capacity(7, growing)).max_line_bytes(limit);
    let (mut seen, mut at_end) = (Vec::new(), 0);
    // Where the file ends for now, it is read on.
    while at_end < 2 {
        match reader.next_line() {
            Ok(Some(line)) => seen.push(said(&line)),
            Ok(None) => {
                let is_over = reader.get_mut().fill_buf().is_ok_and(<[u8]>::is_empty);
                at_end = if is_over { at_end + 1 } else { 0 };
            }
            Err(error) => panic!("no content is an error: {error}"),
        }
    }
    seen.extend(reader.unfinished().map(|it| said(&it)));
    assert_eq!(seen, line_by_line(file, limit));
}

fn said(line: &Line<'_>) -> (u64, u64, String) {
    (line.number, line.offset, format!("{:?}", line.content))
}

/// What a reader that has the whole file before it says.
fn line_by_line(file: &[u8], limit: usize) -> Vec<(u64, u64, String)> {
    let (mut seen, mut offset) = (Vec::new(), 0);
    for (number, whole) in (1..).zip(file.split_inclusive(|it| *it == b'\n')) {
        let line = whole.strip_suffix(b"\n").unwrap_or(whole);
        let text = line
            .strip_prefix(b"\xef\xbb\xbf")
            .filter(|_| offset == 0)
            .unwrap_or(line);
        let content = match decode(text) {
            _ if line.len() > limit => LineContent::Unusable(LineFault::TooLong { limit }),
            Ok(Decoded::Event(event)) => LineContent::Event(event),
            Ok(Decoded::Unknown(name)) => LineContent::Unknown(name),
            Err(LineFault::Json(_)) if line.len() == whole.len() => {
                LineContent::Unusable(LineFault::Torn)
            }
            Err(fault) => LineContent::Unusable(fault),
        };
        if line.len() > limit || !text.trim_ascii().is_empty() {
            seen.push(said(&Line {
                number,
                offset,
                content,
            }));
        }
        offset += whole.len() as u64;
    }
    seen
}

/// Gives a file in pieces, and after each of them says once that this is the end.
struct Growing<'a> {
    rest: &'a [u8],
    piece: usize,
    given: bool,
}

impl io::Read for Growing<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.given = !self.given;
        let len = if self.given {
            self.piece.min(out.len()).min(self.rest.len())
        } else {
            0
        };
        let (piece, rest) = self.rest.split_at(len);
        out[..len].copy_from_slice(piece);
        self.rest = rest;
        Ok(len)
    }
}

/// What is read as a time is written in a form that says the same, and the quick way reads nothing else.
fn timestamp(text: &[u8]) {
    let careful = parse(text);
    if let Ok(canonical) = text.try_into()
        && let Some(quick) = parse_canonical(canonical)
    {
        assert_eq!(careful, Some(quick));
    }
    if let Some(time) = careful {
        let written = time.to_string();
        assert_eq!(written.parse(), Ok(time));
        assert_eq!(
            written.as_bytes().try_into().ok().and_then(parse_canonical),
            Some(time)
        );
        assert_eq!(Timestamp::from_unix_micros(time.unix_micros()), time);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod tests;
