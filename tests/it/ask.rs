//! `triscope ask`: a supervisor, its workers, and what it makes of their answers.

mod ends;
mod models;
mod story;

use serde_json::Value;

use crate::cli::Place;

/// A step that says in the file `busy` that it runs, and ends once there is a file `go`, or the whole folder is gone.
const UNTIL_GO: &str = "run `touch busy; until [ -e go ] || ! [ -e busy ]; do sleep 0.01; done`";

/// The row of `workers --json` with this task; `None` while there is no such worker.
#[track_caller]
fn find_row(place: &Place, task: &str) -> Option<Value> {
    place.rows().into_iter().find(|it| it["task"] == task)
}

#[track_caller]
fn row_of(place: &Place, task: &str) -> Value {
    find_row(place, task).unwrap_or_else(|| panic!("no worker for `{task}`"))
}

/// Whether the worker with this task has ended.
fn has_ended(place: &Place, task: &str) -> bool {
    find_row(place, task).is_some_and(|it| it["duration_ms"].is_u64())
}
