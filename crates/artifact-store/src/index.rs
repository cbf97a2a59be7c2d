//! The index: a cache of what the metadata of ended workers said, so that a list of the newest need not read all names.
//!
//! Only readers keep it, and only `list` reads it; making a worker never touches it. The directories are the truth:
//! - Which names there are is taken from the index only while the data directory is unchanged since they were read.
//! - What a worker's metadata says is taken from it only if the file is the one it was read from, and only of a worker
//!   that has ended. All others, also those that cannot be read, are *unsettled*: read afresh each time they are met.
//! - A filter finds an ended worker by the status and owner that it had when it was read, as nothing of ours changes
//!   these. Edited by hand, it is found out among the newest [`LOOKED_AT`]; an older one once it is listed.
//!
//! Whatever is wrong with the file, the directories answer in its stead, and a thread makes it anew.

#[cfg(test)]
pub(crate) mod testing;

mod file;
mod fill;
mod names;
mod newest;
mod settled;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use self::{
    file::{IndexFile, Lock, State, Unusable},
    fill::Filler,
    newest::Change,
    settled::Stamp,
};
use crate::{ArtifactStore, WorkerFilter, WorkerList, data_dir::OWN_DIR};

/// How many of the newest workers are looked at before a filter is trusted; a look takes about a microsecond.
const LOOKED_AT: i64 = 1000;
/// More workers than this that came or went are for the thread; until then the directories answer.
const MAX_CHANGES: usize = 2000;
/// How long an answer waits for its turn; a process that is stopped in its turn would keep it for ever.
const PATIENCE: Duration = Duration::from_millis(50);

impl ArtifactStore {
    /// Calls `look` with the path of the index while nobody writes it, whether it is there or not; `None` if somebody
    /// does all the time.
    pub fn with_index_at_rest<T>(&self, look: impl FnOnce(&Path) -> T) -> Option<T> {
        let own_dir = self.own_dir();
        let _lock = Lock::shared(&own_dir, Duration::from_secs(2)).ok()?;
        Some(look(&own_dir.join(file::NAME)))
    }
}

/// The index of one store.
#[derive(Debug)]
pub(crate) struct Index {
    own_dir: PathBuf,
    file: Mutex<Option<IndexFile>>,
    filler: Filler,
}

impl Index {
    pub(crate) fn new(data_dir: PathBuf) -> Self {
        let own_dir = data_dir.join(OWN_DIR);
        Self {
            filler: Filler::new(data_dir, own_dir.clone()),
            own_dir,
            file: Mutex::default(),
        }
    }

    /// The workers that fit `filter`, as the directories would have it; `None` if only they can tell.
    pub(crate) fn list(&self, store: &ArtifactStore, filter: &WorkerFilter) -> Option<WorkerList> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (list, is_full) = self.newest(&mut file, store, filter).ok()?;
        if !is_full {
            self.filler.start();
        }
        Some(list)
    }

    /// Brings the index up to date behind the caller's back.
    pub(crate) fn fill(&self) {
        self.filler.start();
    }

    /// Brings the index up to date before the caller's eyes.
    #[cfg(test)]
    pub(crate) fn fill_here(&self) {
        self.filler.fill_here();
    }

    /// The answer, and whether all workers are in the index that can be.
    fn newest(
        &self,
        file: &mut Option<IndexFile>,
        store: &ArtifactStore,
        filter: &WorkerFilter,
    ) -> Result<(WorkerList, bool), Unusable> {
        let (mut knows_names, mut is_looked_at) = (false, false);
        loop {
            let lock = Lock::shared(&self.own_dir, PATIENCE)?;
            let (index, state) = self.current(file, &lock)?;
            if state.names.is_none() && !state.is_full {
                return Err(Unusable); // It is being made.
            }
            let dir = store.dir()?;
            if !knows_names && state.names != Some(Stamp::of(dir.stat())) {
                drop(lock);
                self.catch_up(file, store)?;
                knows_names = true;
                continue;
            }
            let is_narrow = filter.status.is_some() || filter.owner.is_some();
            if is_narrow && !is_looked_at {
                is_looked_at = true;
                let changes = newest::edited(index, &dir, filter, LOOKED_AT)?;
                if !changes.is_empty() {
                    drop(lock);
                    self.save(file, &changes, PATIENCE)?;
                    continue;
                }
            }
            let (list, changes) = newest::newest(index, &dir, store, filter)?;
            drop(lock);
            if !changes.is_empty() {
                // The answer is right without it, so it waits for nobody.
                let _ = self.save(file, &changes, Duration::ZERO);
            }
            return Ok((list, state.is_full));
        }
    }

    /// Reads the names and applies what changed.
    fn catch_up(
        &self,
        file: &mut Option<IndexFile>,
        store: &ArtifactStore,
    ) -> Result<(), Unusable> {
        // Read in the turn that they are written in: older names would take a worker out that another process has found.
        let lock = Lock::exclusive(&self.own_dir, PATIENCE)?;
        let names = names::Names::read(&store.dir()?, settled::now())?;
        let (index, _) = self.current(file, &lock)?;
        let difference = names.difference(index)?;
        if difference.new.len() + difference.gone.len() > MAX_CHANGES {
            return Err(Unusable);
        }
        index.write(&lock, |it| {
            difference.apply_gone(it)?;
            names::insert(it, &difference.new)?;
            file::set_names(it, difference.stamp)
        })
    }

    fn save(
        &self,
        file: &mut Option<IndexFile>,
        changes: &[Change],
        patience: Duration,
    ) -> Result<(), Unusable> {
        let lock = Lock::exclusive(&self.own_dir, patience)?;
        let (index, _) = self.current(file, &lock)?;
        index.write(&lock, |it| changes.iter().try_for_each(|one| one.apply(it)))
    }

    /// The file that is there now, and what it says of itself.
    fn current<'a>(
        &self,
        file: &'a mut Option<IndexFile>,
        lock: &Lock,
    ) -> Result<(&'a mut IndexFile, State), Unusable> {
        // The one that was opened before may have been deleted since, or replaced.
        let state = file.as_ref().and_then(|it| it.state().ok());
        let (index, state) = match (file.take(), state) {
            (Some(index), Some(state)) => (index, state),
            (before, _) => {
                drop(before);
                let index = IndexFile::open(&self.own_dir, lock)?;
                let state = index.state()?;
                (index, state)
            }
        };
        Ok((file.insert(index), state))
    }
}
