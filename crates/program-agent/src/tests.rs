//! Programs as their users see them: by the worker's report, its files and its events.

mod ends;
mod formats;
mod metrics;
mod outputs;
mod support;
