//! Workers as their users see them: by their report, their files and their lifecycle events.

mod activity;
mod artifacts;
mod endings;
mod hostile;
mod lifecycle_events;
mod losses;
mod react_loop;
mod summaries;
mod support;
mod tool_failures;
