//! The tools as a supervisor sees them: what is asked, and the text that comes back.
//!
//! The clock is a manual one that only agents move, so the texts hold exact ids and durations.

mod arguments;
mod cancelling;
mod damage;
mod deaths;
mod files;
mod job_ids;
mod lists;
mod metadata_and_metrics;
mod numbers;
mod outputs;
mod owners;
mod queue;
mod results;
mod shut_down;
mod spawning;
mod supervising;
mod support;
mod traces;
