//! `activity.json`: the calls that a worker has in flight for a while, so that they are not lost with its process.

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
    time::Duration,
};

use metrics_core::{
    CallTime, ErrorText, Event, LlmCall, Outcome, SpanId, Timestamp, ToolCall, TraceFields,
};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, utimensat};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, WorkerReader,
    confined::{Dir, Refusal},
    file_names,
    whole_file::Files,
    worker::WorkerWriter,
};

/// A longer `activity.json` is not written, and not read.
const MAX_BYTES: usize = 1 << 20;

/// A call in flight, as `activity.json` keeps it.
///
/// - Shape of the file: `{"calls":[…]}`, the oldest call first; of a call `kind` (`llm_call` or `tool_call`), `model` and
///   `phase` or `tool`, `start_ts`, and `span_id` where a child was told of it.
/// - It holds calls that have been in flight for more than 50 ms; there is no file while there are none. Its time is a few
///   seconds old at most while the worker lives.
/// - When a worker is found dead, each becomes an event with `"error":"worker died"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OpenCall {
    /// A call of a model.
    LlmCall {
        /// The model.
        model: String,
        /// What the call is for.
        phase: String,
        /// When it started.
        start_ts: Timestamp,
        /// Its span, where a child worker or process was told of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        span_id: Option<SpanId>,
    },
    /// A call of a tool.
    ToolCall {
        /// The tool.
        tool: String,
        /// When it started.
        start_ts: Timestamp,
        /// Its span, where a child worker or process was told of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        span_id: Option<SpanId>,
    },
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Activity<C> {
    calls: C,
}

impl OpenCall {
    /// When it started.
    pub fn start_ts(&self) -> Timestamp {
        match self {
            Self::LlmCall { start_ts, .. } | Self::ToolCall { start_ts, .. } => *start_ts,
        }
    }

    /// Whether `event` is this call, ended.
    pub(crate) fn is(&self, event: &Event<'_>) -> bool {
        match (self, event) {
            (
                Self::LlmCall {
                    model,
                    phase,
                    start_ts,
                    ..
                },
                Event::LlmCall(call),
            ) => {
                call.time.start_ts() == *start_ts
                    && call.model.as_str() == model
                    && call.phase.as_str() == phase
            }
            (Self::ToolCall { tool, start_ts, .. }, Event::ToolCall(call)) => {
                call.time.start_ts() == *start_ts && call.tool.as_str() == tool
            }
            _ => false,
        }
    }

    /// The event of a call that was cut off when its process died, at `end`.
    pub(crate) fn into_event(self, end: Timestamp) -> Event<'static> {
        let time = |start: Timestamp| {
            let micros = end.unix_micros() - start.unix_micros();
            let elapsed = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
            CallTime::new(start, elapsed)
        };
        let outcome = Outcome::Failure(ErrorText::WORKER_DIED);
        let trace = |span_id| TraceFields {
            span_id,
            ..TraceFields::default()
        };
        match self {
            Self::LlmCall {
                model,
                phase,
                start_ts,
                span_id,
            } => {
                let mut call = LlmCall::new(phase, model, time(start_ts));
                call.outcome = outcome;
                call.trace = trace(span_id);
                call.into()
            }
            Self::ToolCall {
                tool,
                start_ts,
                span_id,
            } => {
                let mut call = ToolCall::new(tool, time(start_ts));
                call.outcome = outcome;
                call.trace = trace(span_id);
                call.into()
            }
        }
    }
}

/// A worker's `activity.json`, for whoever writes down what the worker has in flight. Does not keep the worker alive.
#[derive(Debug)]
pub struct ActivityFile {
    path: PathBuf,
    files: Files,
}

impl WorkerWriter {
    /// Its `activity.json`.
    pub fn activity_file(&self) -> ActivityFile {
        ActivityFile {
            path: self.dir().join(file_names::ACTIVITY),
            files: self.files().passing(),
        }
    }
}

impl ActivityFile {
    /// Replaces the file; one that would be longer than 1 MiB leaves out the calls at the end.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write(&self, calls: &[OpenCall]) -> Result<(), StoreError> {
        let error = StoreError::io("write", &self.path);
        let written = encode(calls).and_then(|json| self.files.write_whole(&self.path, &json));
        written.map_err(error)
    }

    /// Says that the worker still lives: sets the file's time, which is a sign of life while nothing else is written.
    ///
    /// # Errors
    /// [`StoreError::Io`], also if the file is gone.
    pub fn touch(&self) -> Result<(), StoreError> {
        const NOW: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let times = Timestamps {
            last_access: NOW,
            last_modification: NOW,
        };
        utimensat(CWD, &self.path, &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|it| StoreError::io("touch", &self.path)(it.into()))
    }

    /// Removes the file, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn remove(&self) -> Result<(), StoreError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}

impl WorkerReader {
    /// What the worker has had in flight for a while, the oldest first. A file that says nothing usable, or is none of ours,
    /// has no calls to tell.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn open_calls(&self) -> Result<Vec<OpenCall>, StoreError> {
        let path = self.path().join(file_names::ACTIVITY);
        read(self.dir()).map_err(StoreError::io("read", path))
    }
}

fn encode(calls: &[OpenCall]) -> io::Result<Vec<u8>> {
    let mut n_calls = calls.len();
    loop {
        let calls = &calls[..n_calls];
        let mut json = serde_json::to_vec(&Activity { calls })?;
        json.push(b'\n');
        if json.len() <= MAX_BYTES {
            return Ok(json);
        }
        n_calls /= 2;
    }
}

/// As [`WorkerReader::open_calls`].
pub(crate) fn read(worker: &Dir) -> io::Result<Vec<OpenCall>> {
    let file = match worker.file(file_names::ACTIVITY) {
        Ok(file) => file,
        Err(Refusal::Io(error)) => return Err(error),
        Err(Refusal::NotFound | Refusal::NotConfined(_)) => return Ok(Vec::new()),
    };
    let mut json = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut json)?;
    if json.len() > MAX_BYTES {
        return Ok(Vec::new());
    }
    let activity = serde_json::from_slice::<Activity<Vec<OpenCall>>>(&json);
    Ok(activity.map(|it| it.calls).unwrap_or_default())
}
