//! The program: its commands, exit codes, signals and pipes.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may give up as tests do"
)]

mod demo;
mod files;
mod generated;
mod grep;
mod log;
mod pipes;
mod place;
mod prices;
mod processes;
mod prune;
mod read;
mod run;
mod signals;
mod terminal;
mod usage;

pub(crate) use self::place::{Place, answered, metadata};
