//! A worker's beginning and end, for programs that run their workers themselves.

use std::{fmt::Display, time::Duration};

use metrics_core::{CallTime, Timestamp};
use serde_json::Value;

use crate::{EVENTS_LOST_REASON, EventCounts, Metadata, Status, StoreError, WorkerWriter};

/// How long the end waits for events that the disk has not taken.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// How a worker ended.
#[derive(Debug, Clone)]
pub struct Ended<'a> {
    /// Success, failed, timeout or cancelled.
    pub status: Status,
    /// What there is of a result, for `result.txt`.
    pub result: &'a str,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// How long it ran, on the monotonic clock.
    pub duration: Duration,
}

impl<'a> Ended<'a> {
    /// As `result` says: a success with its text, or a failure with its reason.
    pub fn with<T: AsRef<str>>(result: &'a Result<T, impl Display>, duration: Duration) -> Self {
        match result {
            Ok(text) => Self {
                status: Status::Success,
                result: text.as_ref(),
                error: None,
                duration,
            },
            Err(error) => Self {
                status: Status::Failed,
                result: "(No result generated)",
                error: Some(error.to_string()),
                duration,
            },
        }
    }
}

impl WorkerWriter {
    /// Says that the worker's agent starts, at `now`.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn start(&self, now: Timestamp) -> Result<(), StoreError> {
        self.update(|it| {
            it.status = Status::Running;
            it.started_at = Some(now);
        })
    }

    /// Waits for the events, 2 s at most, writes the result, and only then says how the worker ended. Gives the counts of
    /// its events.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the end is written all the same if only the result could not be.
    pub fn finish(&self, ended: &Ended<'_>) -> Result<EventCounts, StoreError> {
        // The events are done with first: on a full disk the last room goes to the result and the metadata.
        self.finish_metrics(FLUSH_TIMEOUT);
        let result = self.write_result(ended.result);
        let events = self.settle(FLUSH_TIMEOUT, |it| {
            let started_at = it.started_at.unwrap_or(it.created_at);
            it.status = ended.status;
            it.finished_at = Some(CallTime::new(started_at, ended.duration).end_ts());
            it.duration_ms = u64::try_from(ended.duration.as_millis()).ok();
            it.duration_us = u64::try_from(ended.duration.as_micros()).ok();
            it.error.clone_from(&ended.error);
        })?;
        result.map(|()| events)
    }

    /// Waits for the events, `timeout` at most, then changes the metadata, which also says how many there are and how many
    /// are lost, and why.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn settle(
        &self,
        timeout: Duration,
        change: impl FnOnce(&mut Metadata),
    ) -> Result<EventCounts, StoreError> {
        let (events, why_lost) = self.finish_metrics(timeout);
        self.update(|it| {
            change(it);
            it.events = Some(events.recorded);
            it.events_lost = Some(events.lost);
            if let Some(why) = why_lost.filter(|_| events.lost > 0) {
                let why = Value::String(why);
                it.extra.insert(EVENTS_LOST_REASON.to_owned(), why);
            }
        })?;
        Ok(events)
    }
}
