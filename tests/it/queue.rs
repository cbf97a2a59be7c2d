//! The queue: jobs on disk, and the processes that take them.

mod cancelling;
mod command;
mod endings;
mod kills;
mod takers;

use serde_json::Value;

use crate::{cli::Place, support::Background};

/// Starts `triscope work` and waits until it takes jobs.
#[track_caller]
fn work(place: &Place, arguments: &[&str]) -> Background {
    let mut command = place.command(&["work"]);
    let mut work = Background::start(command.args(arguments));
    let first = work.next_line();
    assert!(first.starts_with("Taking jobs, up to "), "{first:?}");
    work
}

/// Writes a job down; gives its number.
#[track_caller]
fn spawn(place: &Place, arguments: &[&str]) -> String {
    let mut command = place.command(&["spawn"]);
    let spawned = crate::support::finish(command.args(arguments)).expect(0);
    spawned.stdout.trim_end().to_owned()
}

/// A task that says in the file `began` that it runs, and ends once there is a file `go`.
const UNTIL_GO: &str =
    "run `echo x >>began; until [ -e go ] || ! [ -e began ]; do sleep 0.01; done`";

/// The job's row in `workers --json`.
#[track_caller]
fn row(place: &Place, job: &str) -> Value {
    let rows = place.rows();
    let found = rows
        .iter()
        .find(|it| it["job_id"].as_u64() == job.parse().ok());
    found
        .cloned()
        .unwrap_or_else(|| panic!("no job {job} in {rows:?}"))
}

/// How often an agent of the place has begun.
fn n_began(place: &Place) -> usize {
    let began = std::fs::read_to_string(place.folder().join("began"));
    began.unwrap_or_default().lines().count()
}
