//! A call and where it stands, and what is made of many of them.

use std::{path::PathBuf, sync::Arc};

use model_prices::{Unpriced, Usd};
use rustc_hash::FxHashMap;

use crate::{Record, pricing::Pricing};

/// What is made of the calls: one a thread, put together at the end.
pub trait Fold: Send {
    /// Takes one call in.
    fn call(&mut self, call: &Call<'_>);
    /// Takes in what another thread made.
    fn merge(&mut self, other: Self);
}

/// One call and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What its line says.
    pub record: &'a Record<'a>,
    /// Where that line stands.
    pub source: &'a Arc<Source>,
    pub(crate) part: u32,
    pub(crate) line: u64,
    pub(crate) pricing: Option<&'a dyn Pricing>,
}

impl<'a> Call<'a> {
    /// What it cost: what its provider said, else by the prices of when it began.
    ///
    /// `None` for a tool call, where the `Filter` or the [`Feed`](crate::Feed) has no prices, and where there is no sign that the
    /// call cost anything; see [`CostSum::takes`](model_prices::CostSum::takes).
    #[inline]
    pub fn cost(&self) -> Option<Result<Usd, Unpriced>> {
        self.pricing?.cost(self.record)
    }

    /// The worker that made it: as the line says, else as its directory is called.
    #[inline]
    pub fn worker(&self) -> Option<&'a [u8]> {
        let of_source = || self.source.worker.as_deref().map(str::as_bytes);
        self.record.worker.or_else(of_source)
    }

    /// Its place, to be kept.
    pub fn place(&self) -> Place {
        Place {
            source: Arc::clone(self.source),
            part: self.part,
            line: self.line,
        }
    }
}

/// Where events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// Its place, for people.
    pub path: PathBuf,
    /// The worker whose directory it lies in.
    pub worker: Option<String>,
    /// Whose that worker is; only known where it was asked for.
    pub owner: Option<String>,
    /// That worker's status, likewise.
    pub status: Option<String>,
    /// Why its worker's metadata could not be read, if it was asked for and is there.
    pub(crate) metadata_fault: Option<String>,
    /// Tells sources of one scan apart.
    pub(crate) serial: u64,
}

impl Source {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            worker: None,
            owner: None,
            status: None,
            metadata_fault: None,
            serial: 0,
        }
    }
}

/// Where a line stands. Its number is known when all has been read: [`Seen::line`].
#[derive(Debug, Clone)]
pub struct Place {
    /// In which source.
    pub source: Arc<Source>,
    pub(crate) part: u32,
    pub(crate) line: u64,
}

/// What a scan came upon besides its calls.
#[derive(Debug, Default)]
pub struct Seen {
    /// Files read.
    pub files: u64,
    /// Calls read.
    pub calls: u64,
    /// Calls that passed the filter.
    pub matching: u64,
    /// Events that this version does not know, and log lines about something else.
    pub others: u64,
    /// Lines that could not be used.
    pub unusable: u64,
    /// Files and directories that could not be read, or not to their end.
    pub unreadable: u64,
    /// Of those, inputs that were asked for by name.
    pub missing: u64,
    /// The first of what could not be used, in the order of their names.
    pub problems: Vec<Problem>,
    /// Lines of each part of a source that was read in parts.
    pub(crate) parts: FxHashMap<(u64, u32), u64>,
}

/// Something that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Problem {
    /// The file or directory.
    pub path: PathBuf,
    /// The line, if it is one.
    pub line: Option<u64>,
    /// What is wrong.
    pub reason: String,
}

/// So many problems are named; the others are counted.
pub(crate) const MAX_PROBLEMS: usize = 20;

impl Seen {
    /// The number of a line, from 1.
    pub fn line(&self, place: &Place) -> u64 {
        let parts = (0..place.part).map(|it| self.parts.get(&(place.source.serial, it)));
        parts.flatten().sum::<u64>() + place.line
    }
}
