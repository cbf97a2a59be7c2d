//! A worker's `metrics.jsonl`, as all that sums it up reads it: which of its lines count, and how long a call took.

use artifact_store::{StoreError, WorkerReader, file_names};
use metrics_core::{CallTime, Line, Timestamp};

/// Calls `take` with each line that is in the file now. What stands behind the last line end counts once the worker has
/// `ended`; until then it is a line being written.
pub(crate) fn for_each_line(
    reader: &WorkerReader,
    ended: bool,
    mut take: impl FnMut(&Line<'_>),
) -> Result<(), StoreError> {
    let mut lines = reader.events()?;
    loop {
        match lines.next_line() {
            Ok(Some(line)) => take(&line),
            Ok(None) => break,
            Err(source) => {
                return Err(StoreError::Io {
                    action: "read",
                    path: reader.path().join(file_names::METRICS),
                    source,
                });
            }
        }
    }
    if ended && let Some(line) = lines.unfinished() {
        take(&line);
    }
    Ok(())
}

/// The duration as exactly as the line tells it: the stamps count where they agree with `duration_ms`.
pub(crate) fn event_micros(time: &CallTime) -> u64 {
    call_micros(time.start_ts(), time.end_ts(), time.duration_ms())
}

/// The same of the three that a line has.
pub(crate) fn call_micros(start: Timestamp, end: Timestamp, duration_ms: u64) -> u64 {
    match u64::try_from(end.unix_micros() - start.unix_micros()) {
        Ok(stamps) if stamps / 1000 == duration_ms => stamps,
        _ => duration_ms.saturating_mul(1000),
    }
}

/// When the call ended by that duration, which a clock that was set meanwhile does not change.
pub(crate) fn event_end(time: &CallTime) -> Timestamp {
    after(time.start_ts(), event_micros(time))
}

pub(crate) fn after(start: Timestamp, us: u64) -> Timestamp {
    start.plus_micros(i64::try_from(us).unwrap_or(i64::MAX))
}
