//! Where calls are read, and which workers need not be.

use artifact_store::{CallIndex, WantedCalls};
use metrics_analysis::{Filter, Fold, Input, Seen, scan};

/// What is read: of a data directory only the workers that may have wanted calls, where its index can tell.
pub(super) struct Places(Vec<(Input, Option<CallIndex>)>);

impl Places {
    pub(super) fn new(inputs: Vec<Input>) -> Self {
        let index = |it: &Input| match it {
            Input::Path(path) if path.is_dir() => Some(CallIndex::of(path)),
            _ => None,
        };
        let inputs = inputs.into_iter();
        Self(inputs.map(|it| (it.clone(), index(&it))).collect())
    }

    pub(super) fn read_stdin(&self) -> bool {
        self.0.iter().any(|(input, _)| *input == Input::Stdin)
    }

    pub(super) fn scan<F: Fold>(&self, filter: &Filter, make: impl Fn() -> F + Sync) -> (F, Seen) {
        let wanted = WantedCalls {
            since: filter.since,
            until: filter.until,
            workers: filter.workers.clone(),
            owners: filter.owners.clone(),
            statuses: filter.statuses.clone(),
        };
        let narrowed = |(input, index): &(Input, Option<CallIndex>)| match (input, index) {
            (Input::Path(path), Some(index)) => match index.workers(&wanted) {
                Some(names) => Input::Workers(path.clone(), names),
                None => input.clone(),
            },
            _ => input.clone(),
        };
        let inputs: Vec<_> = self.0.iter().map(narrowed).collect();
        scan(&inputs, filter, make)
    }
}

#[cfg(test)]
mod tests;
