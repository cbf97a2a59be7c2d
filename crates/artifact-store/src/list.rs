//! Listing workers, newest first.

use std::{iter::Peekable, vec::IntoIter};

use metrics_core::{Timestamp, WorkerId};

use crate::{
    ArtifactStore, Metadata, Status, StoreError, WorkerReader,
    confined::{Dir, Entry},
    liveness::Pulses,
    worker_id,
};

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
        #[cfg(feature = "index")]
        if let Some(list) = self.index().list(self, filter) {
            return Ok(list);
        }
        let list = self.walk(filter);
        #[cfg(feature = "index")]
        self.index().fill();
        list
    }

    /// The list as the directories have it.
    pub(crate) fn walk(&self, filter: &WorkerFilter) -> Result<WorkerList, StoreError> {
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
        newest_first(&mut list.workers);
        list.workers.truncate(limit);
        Ok(list)
    }

    /// The worker directories' names, a second's together: first those whose names tell no time, then the newest second.
    pub(crate) fn seconds_newest_first(
        &self,
        since: Option<Timestamp>,
    ) -> Result<Seconds, StoreError> {
        let since = since.map(worker_id::stamp);
        let entries = self
            .dir()?
            .entries()
            .map_err(StoreError::io("list", self.data_dir()))?;
        let mut names: Vec<_> = entries
            .into_iter()
            .filter(is_worker)
            .map(|it| (!worker_id::has_stamp(&it.name), it.name))
            .filter(|(untimed, name)| {
                *untimed || since.as_ref().is_none_or(|it| name[..19] >= it[..])
            })
            .collect();
        names.sort_unstable_by(|one, other| other.cmp(one));
        Ok(Seconds(names.into_iter().peekable()))
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
            match self.metadata_if_there(&name.as_str().into(), pulses) {
                Some(Ok(metadata)) if filter.matches(&metadata) => list.workers.push(metadata),
                Some(Err(problem)) => list.problems.push(problem),
                Some(Ok(_)) | None => {}
            }
        }
        newest_first(&mut list.workers);
        list
    }

    /// What the worker's metadata says; `None` if its directory is gone, as one that was pruned since its name was read.
    pub(crate) fn metadata_if_there(
        &self,
        worker_id: &WorkerId,
        pulses: &mut Pulses,
    ) -> Option<Result<Metadata, StoreError>> {
        match self.dir() {
            Ok(dir) => self.if_there(&dir, worker_id, |it| it.metadata_with(pulses)),
            Err(problem) => Some(Err(problem)),
        }
    }

    /// What `read` makes of a worker; `None` if its directory is gone.
    pub(crate) fn if_there<T>(
        &self,
        data_dir: &Dir,
        worker_id: &WorkerId,
        read: impl FnOnce(&WorkerReader) -> Result<T, StoreError>,
    ) -> Option<Result<T, StoreError>> {
        let is_gone = |it: &StoreError| matches!(it, StoreError::WorkerNotFound { .. });
        let worker = self.worker_in(data_dir, worker_id);
        let read = worker.and_then(|it| read(&it));
        if let Err(problem) = &read
            // A file that is missing may be so because its directory is being removed.
            && (is_gone(problem) || self.worker_in(data_dir, worker_id).is_err_and(|it| is_gone(&it)))
        {
            return None;
        }
        Some(read)
    }
}

/// Whether an entry of the data directory is a worker's directory, or something in the place of one.
pub(crate) fn is_worker(entry: &Entry) -> bool {
    entry.is_dir && !entry.name.starts_with('.')
}

/// Puts workers in the order of a list.
pub(crate) fn newest_first(workers: &mut [Metadata]) {
    workers.sort_by(|one, other| {
        let by_time = other.created_at.cmp(&one.created_at);
        by_time.then_with(|| other.worker_id.as_str().cmp(one.worker_id.as_str()))
    });
}

/// The names of a store, put together as they are asked for: mostly only a few of many are.
#[derive(Debug)]
pub(crate) struct Seconds(Peekable<IntoIter<(bool, String)>>);

impl Seconds {
    /// Names that are left.
    pub(crate) fn n_names(&self) -> usize {
        self.0.len()
    }
}

impl Iterator for Seconds {
    type Item = Second;

    fn next(&mut self) -> Option<Second> {
        let (is_untimed, first) = self.0.next()?;
        let mut names = vec![first];
        while let Some((_, name)) = self.0.next_if(|(other_untimed, other)| {
            is_untimed == *other_untimed && (is_untimed || names[0][..19] == other[..19])
        }) {
            names.push(name);
        }
        Some(Second {
            is_timed: !is_untimed,
            names,
        })
    }
}

/// Worker directories whose names tell the same second.
#[derive(Debug)]
pub(crate) struct Second {
    /// `false` for directories whose names tell no time.
    is_timed: bool,
    names: Vec<String>,
}

impl Second {
    /// The worker, if the second has no other.
    pub(crate) fn only_worker(&self) -> Option<WorkerId> {
        match self.names.as_slice() {
            [name] => Some(name.as_str().into()),
            _ => None,
        }
    }
}

impl WorkerFilter {
    pub(crate) fn matches(&self, metadata: &Metadata) -> bool {
        self.status.is_none_or(|it| it == metadata.status)
            && self.since.is_none_or(|it| metadata.created_at >= it)
            && self.owner.as_ref().is_none_or(|it| *it == metadata.owner)
    }
}
