//! One grep-able line an event: formatter, installer and parser.
//!
//! ```text
//! 2025-12-15 03:19:33 INFO llm_call_complete phase=tool_decision duration_ms=19500 worker_id=… model=gpt-5-mini … event=llm_call_complete
//! 2025-12-15 03:19:34 WARN connection closed peer=10.0.0.7 worker_id=… target=my_program::net
//! ```
//!
//! The simplest use is one call; the guard waits for the last lines:
//!
//! ```
//! use std::time::Duration;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("triscope.log");
//! let guard = log_format::to_file(&path).install()?;
//!
//! tracing::info!(
//!     target: "triscope::telemetry",
//!     tool = "ssh_exec", duration_ms = 1234, success = true, event = "tool_call_complete",
//!     "tool_call_complete",
//! );
//!
//! guard.flush(Duration::from_secs(2))?;
//! let text = std::fs::read_to_string(&path)?;
//! let line = log_format::parse_line(text.lines().next().unwrap_or_default())?;
//! assert_eq!(line.get("duration_ms"), Some("1234"));
//! assert_eq!(line.get("success"), Some("True"));
//! # Ok(())
//! # }
//! ```
//!
//! A layer of another crate goes beside the log with [`install_with`](LogBuilder::install_with). A program
//! that has its own registry calls [`LogBuilder::build`] instead of [`install`](LogBuilder::install), or puts a [`LogLayer`] on a [`LogWriter`] by hand.
//!
//! # The line
//! - UTC to the second, level, message, ` key=value`… ; one event is one line.
//! - Events with the target `triscope::telemetry` take their stamp from `end_unix_us` (microseconds
//!   since the Unix epoch, not printed) and print `event=` last. All other events print `target=` last
//!   and, inside a worker's scope, `worker_id=` before it.
//! - Booleans are `True` and `False`. A value is quoted if it is empty or holds a space, `"`, `=`, `\`, a
//!   control, U+2028/9, a bidi or zero-width control. Inside quotes `=` is `\x3d`, controls are
//!   `\n`, `\r`, `\t` or `\u{1b}`, and in `model`, `tool`, `phase`, `provider`, `worker_id` a space is
//!   `\x20`. So no value can end a line, colour a terminal, or pass for a ` key=`.
//! - A message is never quoted; its `=`, `\` and controls are escaped in the same way.
//!
//! # What may fail
//! Lines go through a bounded queue to a log thread. A full disk, a closed pipe or a stopped terminal
//! never stalls or fails an event: lines are dropped and counted ([`LogGuard::dropped`]), and once the
//! sink takes lines again, `WARN events_dropped lost=12 target=log_format` says how many.
//!
//! # Features
//! - `fmt`: `LogFormat` as the `event_format` of a `tracing_subscriber::fmt` layer.

mod buffer;
mod error;
mod escape;
mod filter;
#[cfg(feature = "fmt")]
mod fmt_layer;
mod format;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod guard;
mod install;
mod layer;
mod parse;
mod sink;
mod stamp;
#[cfg(test)]
mod testing;
mod writer;

pub use crate::error::LogError;
pub use crate::format::{LogFormat, TELEMETRY_TARGET};
pub use crate::install::{Log, LogBuilder, LogGuard, LogRegistry, to_file, to_sink, to_stderr};
pub use crate::layer::LogLayer;
pub use crate::parse::{LogLine, LogLineError, LogLineReason, parse_line};
pub use crate::sink::{FileSink, LineSink, StderrSink};
pub use crate::writer::{DEFAULT_QUEUE_BYTES, LogWriter};
