//! Running one command of the system to its end, for the tools that do: its process group, its output, its ending.

mod ending;
mod run;

use std::time::Duration;

pub(crate) use self::{
    ending::with_output,
    run::{Finished, run},
};

/// How long a command may run, and how much of its output is kept where.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) term_grace: Duration,
    pub(crate) drain_grace: Duration,
    pub(crate) max_output_bytes: usize,
    pub(crate) max_artifact_bytes: u64,
}
