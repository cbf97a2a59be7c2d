//! One trace as a tree, from the files alone: workers, their calls, what those started, and the time in which nothing was
//! called.
//!
//! A worker's place is in its metadata; a call's is its event, whose span is in its line or follows from where that stands.

mod build;
mod text;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use artifact_store::{Metadata, StoreError, WorkerFilter};
use metrics_core::{SpanId, Timestamp, TraceContext, TraceId, WorkerId};
use serde::Serialize;

use self::build::{Read, read_worker, referred_to};
use crate::{
    JobRef, SupervisorError, SupervisorTools, ToolFailure, supervisor::View, workers::Found,
};

/// Calls that a trace shows of each worker unless told otherwise.
pub const DEFAULT_TRACE_CALLS: usize = 20;

/// The workers of a trace, and what they did.
#[derive(Debug, Serialize)]
pub struct Trace {
    /// The trace.
    pub trace_id: TraceId,
    /// The worker that was asked for.
    pub worker_id: WorkerId,
    /// How many workers there are in it.
    pub workers: usize,
    /// How many calls they made.
    pub calls: u64,
    /// The tokens of these, as far as they were reported.
    pub total_tokens: Option<u64>,
    /// The topmost spans, mostly one: those whose parents are not in these files.
    pub roots: Vec<TraceSpan>,
    /// What could not be read, also of workers that may be in it: their metadata would say. An owner is told of those
    /// that the job book knows to be theirs.
    pub problems: Vec<String>,
}

/// A stretch of time, and what happened within it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceSpan {
    /// What it was.
    #[serde(flatten)]
    pub what: TraceWhat,
    /// When it began.
    pub start_ts: Timestamp,
    /// How long it took, or has been taking.
    pub duration_us: Option<u64>,
    /// Whether it goes on.
    pub is_running: bool,
    /// Why it failed.
    pub error: Option<String>,
    /// Its span; a gap has none, nor has what stands for many calls.
    pub span_id: Option<SpanId>,
    /// The span that caused it.
    pub parent_span_id: Option<SpanId>,
    /// What it caused, in the order of time.
    pub children: Vec<TraceSpan>,
}

/// What a [`TraceSpan`] is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum TraceWhat {
    /// A worker.
    Worker {
        /// Which.
        worker_id: WorkerId,
        /// The job that it carries out.
        job_id: Option<u64>,
        /// How it ended.
        status: String,
        /// What it was to do.
        task: String,
        /// How many calls it made.
        calls: u64,
        /// Its own tokens, as far as they were reported.
        total_tokens: Option<u64>,
    },
    /// A call of a model.
    LlmCall {
        /// The model.
        model: String,
        /// What the call was for.
        phase: String,
        /// Its tokens.
        total_tokens: Option<u64>,
    },
    /// A call of a tool.
    ToolCall {
        /// The tool.
        tool: String,
    },
    /// Time in which a worker neither called anything nor had a child.
    Gap,
    /// Shorter calls, which are left out; the time is theirs together.
    MoreCalls {
        /// How many.
        count: u64,
    },
}

impl SupervisorTools {
    /// The whole trace that a worker belongs to, with at most `max_calls` of each worker's own calls: the slowest ones.
    /// Those that started workers are there in any case.
    ///
    /// # Errors
    /// [`ToolFailure::NotEnded`] for a job that has not started.
    pub async fn trace(&self, job: &JobRef, max_calls: usize) -> Result<Trace, ToolFailure> {
        let metadata = self.metadata(job).await?;
        let Some(trace_id) = metadata.trace_id else {
            return Err(ToolFailure::Refused(format!(
                "worker {} tells no trace in its metadata. Call worker_metrics for what it did.",
                metadata.worker_id
            )));
        };
        let owner = self.owner.clone();
        let trace = self.supervisor.unblock(move |view| {
            let list = view.store.list(&WorkerFilter {
                owner: owner.clone(),
                ..WorkerFilter::default()
            })?;
            let mut problems = Vec::new();
            for problem in list.problems {
                if view.may_be_in(trace_id, &problem, owner.as_deref())? {
                    problems.push(problem.to_string());
                }
            }
            let mut workers = Vec::new();
            for worker in list.workers {
                if worker.trace_id == Some(trace_id) {
                    // As it stands now, by the book too.
                    let found =
                        view.find(&JobRef::Worker(worker.worker_id.clone()), owner.as_deref())?;
                    match found {
                        Some(Found::Worker(found)) => workers.push((found.metadata, found.reader)),
                        Some(Found::Damaged(damaged)) => problems.push(damaged.problem.to_string()),
                        Some(Found::Job(_)) | None => {} // It was removed meanwhile.
                    }
                }
            }
            let now = view.store.clock().timestamp();
            let mut parents: HashSet<SpanId> = HashSet::new();
            for (worker, reader) in &workers {
                parents.extend(worker.parent_span_id);
                if let Err(error) = referred_to(worker, reader, &mut parents) {
                    problems.push(error.to_string());
                }
            }
            let mut read: Vec<Read> = Vec::new();
            for (worker, reader) in &workers {
                read.push(read_worker(worker, reader, &parents, max_calls, now));
            }
            Ok(assemble(trace_id, metadata, read, problems))
        });
        Ok(trace.await?)
    }
}

impl View<'_> {
    /// Whether a worker whose metadata cannot be read may be in the trace, and is `owner`'s; the book knows more of it.
    fn may_be_in(
        &self,
        trace_id: TraceId,
        problem: &StoreError,
        owner: Option<&str>,
    ) -> Result<bool, SupervisorError> {
        let Some(job) = self.job_of_damaged(problem, owner)? else {
            return Ok(owner.is_none()); // Whose it is cannot be known, so only who sees all is told.
        };
        let parent = job.traceparent.as_deref();
        let parent = parent.and_then(TraceContext::from_traceparent);
        // The root of a trace has no parent, so whose root it is only the metadata said.
        Ok(parent.is_none_or(|it| it.trace_id == trace_id))
    }
}

fn assemble(trace_id: TraceId, asked: Metadata, read: Vec<Read>, problems: Vec<String>) -> Trace {
    let calls = read.iter().map(Read::calls).sum();
    let tokens = read.iter().filter_map(Read::total_tokens);
    let total_tokens = tokens.reduce(u64::saturating_add);
    Trace {
        trace_id,
        worker_id: asked.worker_id,
        workers: read.len(),
        calls,
        total_tokens,
        roots: build::tree(read),
        problems,
    }
}
