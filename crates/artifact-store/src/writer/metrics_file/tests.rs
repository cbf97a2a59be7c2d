//! The writer, on real files and on a disk that misbehaves.

mod closing;
mod faults;
mod hanging;
mod modes;
mod order;
mod real_files;
mod swaps;

use std::{path::Path, sync::Arc, time::Duration};

use metrics_core::{CallTime, Event, EventSink as _, Timestamp, ToolCall};

use super::MetricsFile;
use crate::{
    disk::{Disk, fake::State},
    writer::{Budget, RecordMode, Writer},
};

/// Longer than anything here should take, on the slowest machine.
const LONG: Duration = Duration::from_mins(1);
const ROOMY: usize = 64 << 20;

fn writer(disk: impl Disk + 'static, budget: &Arc<Budget>) -> Arc<Writer> {
    writer_in(RecordMode::Buffered, disk, budget)
}

fn writer_in(mode: RecordMode, disk: impl Disk + 'static, budget: &Arc<Budget>) -> Arc<Writer> {
    Writer::start(Arc::new(disk), Arc::clone(budget), mode).unwrap()
}

fn metrics_file(writer: &Arc<Writer>, path: impl AsRef<Path>) -> Arc<MetricsFile> {
    let path = path.as_ref().to_owned();
    MetricsFile::new("w".into(), path, Arc::clone(writer))
}

fn record(file: &MetricsFile, tool: &str) {
    file.record(&file.worker, &event(tool));
}

fn event(tool: &str) -> Event<'_> {
    let time = CallTime::new(Timestamp::UNIX_EPOCH, Duration::ZERO);
    ToolCall::new(tool, time).into()
}

/// How long the line of an event with such a tool name is, with its `\n`.
fn line_len(tool: &str) -> usize {
    event(tool).to_line().len() + 1
}

/// The tools of all lines in a file of a fake disk.
fn tools_of(state: &State, path: impl AsRef<Path>) -> Vec<String> {
    tools(&state.content(path))
}

/// The tools of all lines, each of which must be whole.
fn tools(content: &[u8]) -> Vec<String> {
    let text = str::from_utf8(content).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    let line = |line: &str| {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        json["tool"].as_str().unwrap().to_owned()
    };
    text.lines().map(line).collect()
}

/// Numbers in no order, but the same ones each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|it| it.to_string()).collect()
}
