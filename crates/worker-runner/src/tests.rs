//! Workers as their users see them: by their report, their files and their lifecycle events.

mod activity;
mod artifacts;
mod costs;
mod endings;
mod hostile;
mod lifecycle_events;
mod limits;
mod losses;
mod react_loop;
mod remarks;
mod retries;
mod summaries;
mod support;
mod tool_failures;
