//! The variables by which a worker and its program know of each other.

use std::env;

use metrics_core::{TraceContext, WorkerId};
pub use worker_runner::{TRACEPARENT_VARIABLE, WORKER_ID_VARIABLE};

/// The absolute path of the file that the program may append events to.
pub const METRICS_FILE_VARIABLE: &str = "TRISCOPE_METRICS_FILE";

/// What this process was told by whoever started it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Surroundings {
    /// A new span below the one that `TRACEPARENT` names; `None` where it is not set or not in W3C's form.
    pub trace: Option<TraceContext>,
    /// The worker that this process runs as; only within a trace, as nothing else links it to its parent.
    pub worker_id: Option<WorkerId>,
}

impl Surroundings {
    /// Reads this process's environment.
    pub fn of_process() -> Self {
        let read = |variable| env::var(variable).ok();
        Self::read(
            read(TRACEPARENT_VARIABLE).as_deref(),
            read(WORKER_ID_VARIABLE).as_deref(),
        )
    }

    pub(crate) fn read(traceparent: Option<&str>, worker_id: Option<&str>) -> Self {
        let trace = traceparent.and_then(TraceContext::from_traceparent);
        let is_id = |it: &&str| !it.is_empty() && it.len() <= 200 && !it.contains(char::is_control);
        Self {
            trace,
            worker_id: worker_id
                .filter(|_| trace.is_some())
                .filter(is_id)
                .map(WorkerId::from),
        }
    }
}
