//! Input that makes no sense: a clear error, and nothing lost.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may give up as tests do"
)]

mod damage;
mod data_dirs;
mod hostile;
mod job_ids;
mod names;
mod paths;
mod tasks;
