//! Who may mark dead workers: one process at a time, and one thread of it.

use std::{
    collections::BTreeSet,
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::fs::{FlockOperation, fcntl_lock};

use crate::disk::open_to_append;

/// `run/reaper.lock`, held. Free again when dropped, or when the process dies.
#[derive(Debug)]
pub(crate) struct ReaperLock {
    /// The directory, by device and inode.
    dir: (u64, u64),
    /// `None` until it is open. A POSIX lock, so it is closed before another thread of this process may open the file.
    file: Option<File>,
}

/// Where this process is marking: its own POSIX locks do not stand in its way.
static MARKING: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

fn marking() -> MutexGuard<'static, BTreeSet<(u64, u64)>> {
    MARKING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ReaperLock {
    /// Takes it; `None` if somebody has it, or if it cannot be taken, as in a directory that is read-only.
    pub(crate) fn try_take(run_dir: &Path) -> Option<Self> {
        let id = run_dir.metadata().ok()?;
        let dir = (id.dev(), id.ino());
        if !marking().insert(dir) {
            return None;
        }
        let mut lock = Self { dir, file: None };
        let file = lock
            .file
            .insert(open_to_append(&run_dir.join("reaper.lock")).ok()?);
        fcntl_lock(&*file, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(lock)
    }
}

impl Drop for ReaperLock {
    fn drop(&mut self) {
        drop(self.file.take());
        marking().remove(&self.dir);
    }
}
