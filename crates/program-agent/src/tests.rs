//! Programs as their users see them: by the worker's report, its files and its events.

mod commands;
mod formats;
mod metrics;
mod support;
