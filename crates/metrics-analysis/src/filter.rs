//! Which calls are wanted.

mod condition;
mod field;
mod parse;

use std::ffi::OsStr;

use metrics_core::Timestamp;
use model_prices::PriceTable;

use crate::Call;
pub use crate::filter::{condition::Condition, parse::ConditionError};

/// Which calls are wanted, and by which prices: those that fit all of these. An empty list wants any.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Calls that ended at this time or later.
    pub since: Option<Timestamp>,
    /// Calls that ended before this time.
    pub until: Option<Timestamp>,
    /// Of one of these workers.
    pub workers: Vec<String>,
    /// Of workers of one of these owners.
    pub owners: Vec<String>,
    /// Of workers in one of these states.
    pub statuses: Vec<String>,
    /// Calls of one of these models.
    pub models: Vec<String>,
    /// Calls of one of these tools.
    pub tools: Vec<String>,
    /// Model calls in one of these phases.
    pub phases: Vec<String>,
    /// A condition in words.
    pub condition: Option<Condition>,
    /// Whether the answer speaks of owner or status although no filter does.
    pub with_metadata: bool,
    /// What calls cost whose providers did not say so. Without it no call has a cost, but for `cost_usd` in a condition, which
    /// is then what the provider said.
    pub prices: Option<PriceTable>,
}

impl Filter {
    /// Whether `metadata.json` has to be read beside the events.
    pub(crate) fn needs_metadata(&self) -> bool {
        let asks = |it: &Condition| it.needs_metadata();
        self.with_metadata
            || !self.owners.is_empty()
            || !self.statuses.is_empty()
            || self.condition.as_ref().is_some_and(asks)
    }

    /// Whether any call of the worker whose directory is called `name` may be wanted.
    pub(crate) fn wants_worker(&self, name: &OsStr) -> bool {
        self.workers.is_empty() || self.workers.iter().any(|it| name == it.as_str())
    }

    /// Whether `call` is wanted.
    #[inline]
    pub fn matches(&self, call: &Call<'_>) -> bool {
        let record = call.record;
        if self.since.is_some() || self.until.is_some() {
            let end = Timestamp::from(record.end);
            if self.since.is_some_and(|it| end < it) || self.until.is_some_and(|it| end >= it) {
                return false;
            }
        }
        let lists = [
            &self.models,
            &self.tools,
            &self.phases,
            &self.workers,
            &self.owners,
            &self.statuses,
        ];
        // Mostly there are none.
        (lists.iter().all(|it| it.is_empty()) || self.lists_have(call))
            && self.condition.as_ref().is_none_or(|it| it.holds(call))
    }

    #[inline(never)]
    fn lists_have(&self, call: &Call<'_>) -> bool {
        let (record, source) = (call.record, call.source);
        is_one_of(&self.models, || record.model())
            && is_one_of(&self.tools, || record.tool())
            && is_one_of(&self.phases, || record.phase())
            && is_one_of(&self.workers, || call.worker())
            && is_one_of(&self.owners, || source.owner.as_deref().map(str::as_bytes))
            && is_one_of(&self.statuses, || {
                source.status.as_deref().map(str::as_bytes)
            })
    }
}

#[inline]
fn is_one_of<'a>(wanted: &[String], value: impl FnOnce() -> Option<&'a [u8]>) -> bool {
    wanted.is_empty() || value().is_some_and(|value| wanted.iter().any(|it| it.as_bytes() == value))
}

#[cfg(test)]
mod tests;
