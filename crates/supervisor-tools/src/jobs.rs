//! The job book: which tasks were handed over, who runs them, how they ended.
//!
//! Not here: running a job, telling whether a process lives, and what workers leave in their directories.

mod book;
mod error;
mod id;
mod job;
mod open;
mod reference;
mod status;

#[cfg(test)]
mod test_support;

pub use self::{
    book::JobBook,
    error::JobBookError,
    id::{JobId, JobIdError},
    job::{Job, JobFilter, NewJob, RunId},
    reference::{JobRef, JobRefError},
    status::{FinalStatus, JobStatus, JobStatusError},
};
