//! The index: a cache of what the metadata of ended workers said, so that a list of the newest need not read all names,
//! and of when their calls ended, so that a report about some hour need not read all workers.
//!
//! Only readers keep it; making a worker never touches it. The directories are the truth:
//! - Which names there are is taken from the index only while the data directory is unchanged since they were read.
//! - What a worker's metadata says is taken from it only if the file is the one it was read from, and only of a worker
//!   that has ended. All others, also those that cannot be read, are *unsettled*: read afresh each time they are met.
//! - A filter finds an ended worker by the status and owner that it had when it was read, as nothing of ours changes
//!   these. Edited by hand, it is found out among the newest [`LOOKED_AT`]; an older one once it is listed.
//!
//! Whatever is wrong with the file, the directories answer in its stead, and a thread makes it anew.

#[cfg(test)]
pub(crate) mod testing;

mod calls;
mod file;
mod fill;
mod names;
mod newest;
mod settled;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

pub use self::calls::{CallIndex, WantedCalls};
use self::{
    calls::Budget,
    file::{IndexFile, Lock, State, Unusable},
    fill::Filler,
    newest::Change,
    settled::{Settled, Stamp},
};
use crate::{ArtifactStore, WorkerFilter, WorkerList, confined::Dir, data_dir::OWN_DIR};

/// How many of the newest workers are looked at before a filter is trusted; a look takes about a microsecond.
const LOOKED_AT: i64 = 1000;
/// More workers than this that came or went are for the thread; until then the directories answer.
const MAX_CHANGES: usize = 2000;
/// The same where the directories would answer after seconds only.
const MAX_CHANGES_FOR_CALLS: usize = 20_000;
/// So many workers that nobody has looked at yet, and so much of their events, are not worth a thread, which would read
/// all names.
const FEW: usize = 500;
const FEW_BYTES: u64 = 8 << 20;
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
    data_dir: PathBuf,
    own_dir: PathBuf,
    file: Mutex<Option<IndexFile>>,
    filler: Filler,
}

impl Index {
    pub(crate) fn new(data_dir: PathBuf) -> Self {
        let own_dir = data_dir.join(OWN_DIR);
        Self {
            filler: Filler::new(data_dir.clone()),
            data_dir,
            own_dir,
            file: Mutex::default(),
        }
    }

    /// The workers that fit `filter`, as the directories would have it; `None` if only they can tell.
    pub(crate) fn list(&self, store: &ArtifactStore, filter: &WorkerFilter) -> Option<WorkerList> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = self.ask(
            &mut file,
            MAX_CHANGES,
            |index, dir| newest::edited(index, dir, filter, LOOKED_AT),
            |index, dir| newest::newest(index, dir, store, filter),
        );
        let ((list, changes), is_full) = answer.ok()?;
        if !changes.is_empty() {
            // The answer is right without it, so it waits for nobody.
            let _ = self.save(&mut file, &changes, Duration::ZERO);
        }
        if !is_full {
            self.filler.start();
        }
        Some(list)
    }

    /// What [`CallIndex::workers`] gives.
    fn workers_with_calls(&self, wanted: &WantedCalls) -> Option<Vec<OsString>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = self.ask(
            &mut file,
            MAX_CHANGES_FOR_CALLS,
            |index, dir| calls::edited(index, dir, LOOKED_AT),
            |index, _| calls::candidates(index, wanted),
        );
        let Ok((found, is_full)) = answer else {
            self.filler.start();
            return None;
        };
        if !is_full || !self.look_at_few(&mut file, &found.unseen) {
            self.filler.start();
        }
        Some(found.names)
    }

    /// Reads those that nobody has looked at yet, if they are few; whether none was left.
    fn look_at_few(&self, file: &mut Option<IndexFile>, unseen: &[String]) -> bool {
        let (true, Ok(dir)) = (unseen.len() <= FEW, self.dir()) else {
            return false;
        };
        let mut budget = Budget::new(u64::MAX, FEW_BYTES, &|| false);
        let ended = unseen
            .iter()
            .filter_map(|it| Settled::read_with_calls(&dir, it, &mut budget));
        let changes: Vec<_> = ended.map(Change::Settle).collect();
        if !changes.is_empty() {
            let _ = self.save(file, &changes, PATIENCE);
        }
        !budget.is_spent()
    }

    /// Brings the index up to date behind the caller's back.
    pub(crate) fn fill(&self) {
        self.filler.start();
    }

    /// Brings the index up to date before the caller's eyes.
    #[cfg(test)]
    pub(crate) fn fill_here(&self, is_over: impl Fn() -> bool + Send + 'static) {
        self.filler.fill_here(is_over);
    }

    /// What `answer` says once all names are in the index and what `edited` finds has been put right; with it comes
    /// whether all workers are in the index that can be.
    fn ask<T>(
        &self,
        file: &mut Option<IndexFile>,
        max_changes: usize,
        edited: impl FnOnce(&IndexFile, &Dir) -> Result<Vec<Change>, Unusable>,
        answer: impl FnOnce(&IndexFile, &Dir) -> Result<T, Unusable>,
    ) -> Result<(T, bool), Unusable> {
        let mut edited = Some(edited);
        let mut knows_names = false;
        loop {
            let lock = Lock::shared(&self.own_dir, PATIENCE)?;
            let (index, state) = self.current(file, &lock)?;
            if state.names.is_none() && !state.is_full {
                return Err(Unusable); // It is being made.
            }
            let dir = self.dir()?;
            if !knows_names && state.names != Some(Stamp::of(dir.stat())) {
                drop(lock);
                self.catch_up(file, max_changes)?;
                knows_names = true;
                continue;
            }
            if let Some(edited) = edited.take() {
                let changes = edited(index, &dir)?;
                if !changes.is_empty() {
                    drop(lock);
                    self.save(file, &changes, PATIENCE)?;
                    continue;
                }
            }
            return Ok((answer(index, &dir)?, state.is_full));
        }
    }

    /// Reads the names and applies what changed.
    fn catch_up(&self, file: &mut Option<IndexFile>, max_changes: usize) -> Result<(), Unusable> {
        // Read in the turn that they are written in: older names would take a worker out that another process has found.
        let lock = Lock::exclusive(&self.own_dir, PATIENCE)?;
        let names = names::Names::read(&self.dir()?, settled::now())?;
        let (index, _) = self.current(file, &lock)?;
        let difference = names.difference(index)?;
        if difference.new.len() + difference.gone.len() > max_changes {
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

    fn dir(&self) -> Result<Dir, Unusable> {
        Dir::open(&self.data_dir).map_err(|_| Unusable)
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
