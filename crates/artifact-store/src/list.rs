//! Listing workers, newest first.

use std::cmp::Reverse;

use metrics_core::{Timestamp, WorkerId};

use crate::{ArtifactStore, Metadata, Status, StoreError, worker_id};

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
        let mut list = WorkerList::default();
        let since = filter.since.map(worker_id::stamp);
        let mut last_stamp = None;
        for name in self.names_newest_first()? {
            let stamp = worker_id::has_stamp(&name).then(|| name[..19].to_owned());
            if let (Some(stamp), Some(since)) = (&stamp, &since)
                && stamp < since
            {
                break; // All that follow are older.
            }
            // Ids tell seconds; within one all are needed to know the newest.
            let full = filter.limit.is_some_and(|it| list.workers.len() >= it);
            if full && stamp != last_stamp {
                break;
            }
            last_stamp = stamp;
            match self.read_metadata(&name.into()) {
                Ok(metadata) if filter.matches(&metadata) => list.workers.push(metadata),
                Ok(_) => {}
                Err(problem) => list.problems.push(problem),
            }
        }
        list.workers.sort_by_key(|it| Reverse(it.created_at));
        list.workers.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(list)
    }

    /// The names of all worker directories: those whose names tell no time first, then the newest.
    pub(crate) fn names_newest_first(&self) -> Result<Vec<String>, StoreError> {
        let names = self
            .dir()?
            .names()
            .map_err(StoreError::io("list", self.data_dir()))?;
        let mut names: Vec<_> = names
            .into_iter()
            .filter(|(name, is_dir)| *is_dir && !name.starts_with('.'))
            .map(|(name, _)| (Reverse((!worker_id::has_stamp(&name), name.clone())), name))
            .collect();
        names.sort_unstable();
        Ok(names.into_iter().map(|(_, name)| name).collect())
    }

    fn read_metadata(&self, worker_id: &WorkerId) -> Result<Metadata, StoreError> {
        self.worker(worker_id)?.metadata()
    }
}

impl WorkerFilter {
    fn matches(&self, metadata: &Metadata) -> bool {
        self.status.is_none_or(|it| it == metadata.status)
            && self.since.is_none_or(|it| metadata.created_at >= it)
            && self.owner.as_ref().is_none_or(|it| *it == metadata.owner)
    }
}
