//! From `metrics.jsonl` to an answer: which calls took how long, cost how many tokens and failed how often, over one
//! worker or a million.
//!
//! ```
//! use metrics_analysis::{Filter, Groups, Input, Key, scan};
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("metrics.jsonl");
//! std::fs::write(&path, "{\"event\":\"tool_call\",\"tool\":\"ssh_exec\",\"start_ts\":\"2025-12-15T04:08:08.345678Z\",\
//!     \"end_ts\":\"2025-12-15T04:08:09.456789Z\",\"duration_ms\":1111,\"success\":true}\nnot json\n")?;
//! let filter = Filter {
//!     condition: Some("duration_ms > 1000 and success".parse()?),
//!     ..Filter::default()
//! };
//! let (groups, seen) = scan(&[Input::Path(path)], &filter, || Groups::by(&[Key::Tool]));
//! let [group] = &*groups.into_groups() else { panic!("one tool") };
//! assert_eq!(group.values, [Some("ssh_exec".to_owned())]);
//! assert_eq!(group.stats.duration_ms.percentile(950), Some(1111));
//! assert_eq!((seen.unusable, seen.problems[0].line), (1, Some(2)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # How it works
//! - **Input**: files, workers' directories, data directories, standard input; plain, gzip or zstd; our lines, those of
//!   other writers, and log lines, side by side. A worker's file is opened below its directory without following links,
//!   and only a plain file is read. Nothing is mapped into memory: a file may shrink.
//! - **Scan**: all cores take parts of 8 MiB of large files, or whole small ones, and read them line by line into a
//!   buffer that stays in a core's cache. What a thread needs does not grow with the input; what the answer needs grows
//!   with the number of groups.
//! - **Lines**: one that stands as `metrics-core` writes it, or `log-format` for the collector, is read without looking for
//!   anything: its fields come in a known order. Any other is read by `metrics-core`'s tolerant reader, or `log-format`'s
//!   parser. Property tests hold the quick readers to those.
//! - **Answer**: each call that passes the [`Filter`] goes to a [`Fold`], one a thread; they are merged at the end.
//!   [`Groups`] is one; [`Stats::add`] sees every call of a group, so that what depends on a single call is exact.
//! - **Percentiles** are the nearest rank, exact up to [`EXACT_UP_TO`] calls in a group, from there within
//!   [`SKETCH_ERROR`]; which of them does not depend on how the work was shared.
//! - **Costs**: with [`Filter::prices`] a call that a fold asks for its [cost](Call::cost) is priced by the table, for which each
//!   thread keeps the models that it met last. Who gives no prices pays nothing for this.
//! - **What cannot be used** is counted, and the first of it named ([`Seen`]): no line is an error, no sum is wrong.
//!
//! # Features
//! - `scan` (on by default): [`scan`], [`Input`] and [`Filter`], which read files of all kinds. Without it there are the folds, for
//!   lines that you read yourself ([`Feed`]), and nothing is built that reads logs, gzip or zstd.
//!
//! Invariant: the fast path knows the canonical order of the keys that `metrics-core` defines and the collector logs, and no key
//! of its own.

mod call;
mod compare;
mod distribution;
mod failures;
#[cfg(feature = "scan")]
mod fast;
mod feed;
#[cfg(feature = "scan")]
mod filter;
#[cfg(all(any(test, fuzzing), feature = "scan"))]
pub mod fuzzing;
mod group;
mod histogram;
#[cfg(feature = "scan")]
mod lines;
#[cfg(feature = "scan")]
mod log_line;
mod names;
mod pricing;
mod record;
mod report;
#[cfg(feature = "scan")]
mod scan;
mod slow;
#[cfg(feature = "scan")]
mod source;
mod spelling;
mod stats;
mod table;
mod timeline;

pub use crate::{
    call::{Call, Fold, Place, Problem, Seen, Source},
    compare::compare,
    distribution::{Distribution, EXACT_UP_TO, SKETCH_ERROR},
    failures::{FailureGroup, Failures, LastFailure},
    feed::Feed,
    group::{Group, Groups, Key, KeyError, MAX_KEYS},
    histogram::{EachDuration, Histogram},
    record::{Kind, Moment, Record},
    report::{ReportOptions, Sort, report, total_cost},
    slow::{SlowCall, Slowest},
    stats::{Stats, TokenSums},
    table::{Cell, Column, Format, Table},
    timeline::{MAX_TIMELINE_CALLS, Timeline},
};
#[cfg(feature = "scan")]
pub use crate::{
    filter::{Condition, ConditionError, Filter},
    scan::scan,
    source::{Input, unpacked},
};
