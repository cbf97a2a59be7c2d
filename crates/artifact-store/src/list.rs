//! Listing workers, newest first.

use std::cmp::Reverse;

use metrics_core::Timestamp;

use crate::{ArtifactStore, Metadata, Status, StoreError, liveness::Pulses, worker_id};

/// Which workers to list.
#[derive(Debug, Clone, Default)]
pub struct WorkerFilter {
    /// At most so many; all of them if `None`.
    pub limit: Option<usize>,
    /// Only those in this state.
    pub status: Option<Status>,
    /// Only those made at this time or later.
    pub since: Option<Timestamp>,
    /// Only those of this owner.
    pub owner: Option<String>,
}

/// Workers, newest first, and what could not be read.
#[derive(Debug, Default)]
pub struct WorkerList {
    /// The workers that fit the filter.
    pub workers: Vec<Metadata>,
    /// Directories met on the way that are no readable worker, and why.
    pub problems: Vec<StoreError>,
}

impl ArtifactStore {
    /// Lists workers, newest first. A worker that cannot be read is a problem in the answer, not an error.
    ///
    /// # Errors
    /// Only if the data directory itself cannot be read.
    pub fn list(&self, filter: &WorkerFilter) -> Result<WorkerList, StoreError> {
        let limit = filter.limit.unwrap_or(usize::MAX);
        let mut list = WorkerList::default();
        let mut pulses = Pulses::default();
        let mut n_timed = 0;
        for second in self.seconds_newest_first(filter.since)? {
            // Names without a time come first and say nothing about what follows.
            if n_timed >= limit {
                break;
            }
            let found = self.read_second(&second, filter, &mut pulses);
            if second.is_timed {
                n_timed += found.workers.len();
            }
            list.workers.extend(found.workers);
            list.problems.extend(found.problems);
        }
        list.workers.sort_by_key(|it| Reverse(it.created_at));
        list.workers.truncate(limit);
        Ok(list)
    }

    /// The worker directories' names, a second's together: first those whose names tell no time, then the newest second.
    pub(crate) fn seconds_newest_first(
        &self,
        since: Option<Timestamp>,
    ) -> Result<Vec<Second>, StoreError> {
        let since = since.map(worker_id::stamp);
        let names = self
            .dir()?
            .names()
            .map_err(StoreError::io("list", self.data_dir()))?;
        let mut names: Vec<_> = names
            .into_iter()
            .filter(|(name, is_dir)| *is_dir && !name.starts_with('.'))
            .map(|(name, _)| (!worker_id::has_stamp(&name), name))
            .filter(|(untimed, name)| {
                *untimed || since.as_ref().is_none_or(|it| name[..19] >= it[..])
            })
            .collect();
        names.sort_unstable_by(|one, other| other.cmp(one));
        let together = names.chunk_by(|(untimed, name), (other_untimed, other)| {
            untimed == other_untimed && (*untimed || name[..19] == other[..19])
        });
        Ok(together
            .map(|names| Second {
                is_timed: !names[0].0,
                names: names.iter().map(|(_, name)| name.clone()).collect(),
            })
            .collect())
    }

    /// The workers of one second that fit `filter`, newest first. Ids tell seconds, so all must be read to know.
    pub(crate) fn read_second(
        &self,
        second: &Second,
        filter: &WorkerFilter,
        pulses: &mut Pulses,
    ) -> WorkerList {
        let mut list = WorkerList::default();
        for name in &second.names {
            let worker = self.worker(&name.as_str().into());
            match worker.and_then(|it| it.metadata_with(pulses)) {
                Ok(metadata) if filter.matches(&metadata) => list.workers.push(metadata),
                Ok(_) => {}
                Err(problem) => list.problems.push(problem),
            }
        }
        list.workers.sort_by_key(|it| Reverse(it.created_at));
        list
    }
}

/// Worker directories whose names tell the same second.
#[derive(Debug)]
pub(crate) struct Second {
    /// `false` for directories whose names tell no time.
    is_timed: bool,
    names: Vec<String>,
}

impl WorkerFilter {
    fn matches(&self, metadata: &Metadata) -> bool {
        self.status.is_none_or(|it| it == metadata.status)
            && self.since.is_none_or(|it| metadata.created_at >= it)
            && self.owner.as_ref().is_none_or(|it| *it == metadata.owner)
    }
}
