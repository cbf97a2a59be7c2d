//! Lines are found wherever a part or a read ends.

use std::io::{self, Read};

use super::{BUFFER_BYTES, Line, LineReader, MAX_LINE_BYTES, Range};

const SEED: &str = include_str!("../../testdata/seed-metrics.jsonl");
const PYTHON: &str = include_str!("../../testdata/original-python-metrics.jsonl");
const LOG: &str = include_str!("../../testdata/seed-backend.log");

/// Gives at most so many bytes at a time.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = bytes.len().min(self.1);
        self.0.read(&mut bytes[..n])
    }
}

fn say(line: &Line<'_>) -> String {
    match line {
        Line::Call(record) => format!(
            "{} {}",
            String::from_utf8_lossy(record.name),
            record.duration_ms
        ),
        Line::Unknown => "unknown".to_owned(),
        Line::OtherLog => "other".to_owned(),
        Line::Unusable(reason) => reason.clone(),
    }
}

fn read(text: &[u8], range: Range, piece: usize) -> Vec<(u64, String)> {
    let mut said = Vec::new();
    let from = usize::try_from(range.from.saturating_sub(1)).unwrap();
    let mut input = Slow(&text[from..], piece);
    let read = LineReader::default().read(&mut input, range, |n, it| said.push((n, say(it))));
    assert!(read.unwrap().end >= range.to.min(text.len() as u64));
    said
}

fn read_all(text: &[u8]) -> Vec<(u64, String)> {
    read(text, Range::ALL, usize::MAX)
}

#[test]
fn every_form_is_read_side_by_side() {
    let text = [SEED, PYTHON, LOG].concat();
    let said: Vec<_> = read_all(text.as_bytes())
        .into_iter()
        .map(|it| it.1)
        .collect();
    assert_eq!(
        said,
        [
            "gpt-5-mini 111",
            "ssh_exec 1111",
            "gpt-5-mini 111",
            "gpt-5-mini 1234",
            "ssh_exec 19500",
            "http_request 30000",
            "gpt-5-mini 4000",
            "gpt-5-mini 700",
            "gpt-5-mini 19500",
            "ssh_exec 1234",
        ]
    );
}

#[test]
fn parts_share_the_lines_wherever_they_are_cut() {
    let text = format!("{SEED}\n{PYTHON}nonsense\n{LOG}{SEED}");
    let text = text.trim_end().as_bytes();
    let whole: Vec<_> = read_all(text).into_iter().map(|it| it.1).collect();
    assert_eq!(whole.len(), 14);
    for cut in 1..text.len() as u64 {
        let first = read(text, Range { from: 0, to: cut }, usize::MAX);
        let second = read(
            text,
            Range {
                from: cut,
                to: text.len() as u64,
            },
            100,
        );
        let both: Vec<_> = first.into_iter().chain(second).map(|it| it.1).collect();
        assert_eq!(both, whole, "cut at {cut}");
    }
}

#[test]
fn it_does_not_matter_how_the_bytes_come() {
    let text = [SEED, PYTHON, LOG].concat();
    let whole = read_all(text.as_bytes());
    for piece in [1, 2, 7, 100, 4096] {
        assert_eq!(read(text.as_bytes(), Range::ALL, piece), whole, "{piece}");
    }
}

#[test]
fn damaged_files_lose_no_good_line() {
    let good = SEED.lines().next().unwrap();
    let check = |text: &[u8], expected: &[(u64, &str)]| {
        let said = read_all(text);
        let said: Vec<_> = said.iter().map(|(n, it)| (*n, it.as_str())).collect();
        assert_eq!(
            said,
            expected,
            "{}",
            String::from_utf8_lossy(&text[..text.len().min(300)])
        );
    };
    let torn = "torn: the file ends within this line";
    check(b"", &[]);
    check(b"\n\n  \r\n", &[]);
    check(
        format!("\u{feff}{good}\r\n").as_bytes(),
        &[(1, "gpt-5-mini 111")],
    );
    check(
        format!("{good}\n\n{good}").as_bytes(),
        &[(1, "gpt-5-mini 111"), (3, "gpt-5-mini 111")],
    );
    check(
        format!("{good}\n{}", &good[..60]).as_bytes(),
        &[(1, "gpt-5-mini 111"), (2, torn)],
    );
    check(
        format!("{{}}\n{good}\n").as_bytes(),
        &[(1, "field `event` is missing"), (2, "gpt-5-mini 111")],
    );
    check(
        format!("{{\"event\":\"later\"}}\n{good}\n").as_bytes(),
        &[(1, "unknown"), (2, "gpt-5-mini 111")],
    );
    let nul = [&[0; 5000][..], b"\n", good.as_bytes(), b"\n"].concat();
    check(
        &nul,
        &[(1, "expected value at column 1"), (2, "gpt-5-mini 111")],
    );
    for bad in [
        "1e400",
        "-1",
        "18446744073709551616",
        "1.5",
        "\"1\"",
        "null",
    ] {
        let line = good.replace(":111,", &format!(":{bad},"));
        let said = read_all(format!("{line}\n{good}\n").as_bytes());
        assert_eq!(said.len(), 2, "{bad}");
        assert!(said[0].1.contains("duration_ms"), "{said:?}");
        assert_eq!(said[1].1, "gpt-5-mini 111");
    }
    let deep = format!("{}\n{good}\n", "[".repeat(100_000));
    assert_eq!(
        read_all(deep.as_bytes())[1],
        (2, "gpt-5-mini 111".to_owned())
    );
}

#[test]
fn a_gigantic_line_is_passed_over_and_leaves_no_large_buffer() {
    let good = SEED.lines().next().unwrap();
    let long = "x".repeat(3 * MAX_LINE_BYTES);
    let mut reader = LineReader::default();
    for text in [
        format!("{good}\n{long}\n{good}\n"),
        format!("{good}\n{long}"),
    ] {
        let mut said = Vec::new();
        reader
            .read(&mut text.as_bytes(), Range::ALL, |n, it| {
                said.push((n, say(it)));
            })
            .unwrap();
        assert_eq!(said[1], (2, "longer than 4194304 bytes".to_owned()));
        assert_eq!(said.len(), if text.ends_with('\n') { 3 } else { 2 });
        assert!(reader.buffer.capacity() <= 2 * BUFFER_BYTES);
    }
    // One that just fits is read.
    let fits = good.replace("initial", &"y".repeat(MAX_LINE_BYTES - good.len()));
    assert_eq!(
        read_all(format!("{fits}\n").as_bytes()),
        [(1, "gpt-5-mini 111".to_owned())]
    );
}

#[test]
fn nothing_of_a_line_is_left_in_the_next() {
    let lines = [
        r#"{"event":"llm_call","phase":"initial","model":"m","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.234567Z","duration_ms":111,"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"cached_tokens":4,"cache_write_tokens":5,"reasoning_tokens":6,"ttft_ms":7,"provider":"openai","attempt":2,"success":false,"error":"HTTP 503","cost_usd":0.0012}"#,
        r#"{"event":"llm_call","phase":"initial","model":"m","start_ts":"2025-12-15T04:08:08.123456Z","end_ts":"2025-12-15T04:08:08.234567Z","duration_ms":111}"#,
        r#"{"event":"tool_call","tool":"ssh_exec","start_ts":"2025-12-15T04:08:08.345678Z","end_ts":"2025-12-15T04:08:09.456789Z","duration_ms":1111,"success":true}"#,
        LOG.lines().next().unwrap(),
        LOG.lines().nth(1).unwrap(),
    ];
    let read = |text: String| {
        let mut said = Vec::new();
        let read = LineReader::default().read(&mut text.as_bytes(), Range::ALL, |_, it| {
            let Line::Call(record) = it else {
                panic!("a call");
            };
            said.push(format!("{record:?}"));
        });
        read.unwrap();
        said
    };
    for first in lines {
        for second in lines {
            let alone = read(format!("{second}\n"));
            assert_eq!(read(format!("{first}\n{second}\n"))[1..], alone, "{first}");
        }
    }
}
