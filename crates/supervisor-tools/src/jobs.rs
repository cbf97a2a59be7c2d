//! The job book: which tasks were handed over, who runs them, how they ended.
//!
//! Not here: running a job, telling whether a process lives, and what workers leave in their directories.

mod book;
mod error;
mod examine;
mod files;
mod id;
mod in_use;
mod job;
mod mend;
mod open;
mod recovery;
mod reference;
mod row;
mod salvage;
mod status;

#[cfg(test)]
mod test_support;

pub use self::{
    book::{BookVersion, JobBook},
    error::JobBookError,
    examine::{BookSummary, MovedBook, sqlite_fault},
    id::{JobId, JobIdError},
    job::{Job, JobFilter, NewJob, RunId},
    recovery::Recovery,
    reference::{JobRef, JobRefError},
    status::{FinalStatus, JobStatus, JobStatusError},
};
