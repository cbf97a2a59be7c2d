//! This process's run: a lock that is free once the process is dead.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, fcntl_lock};
use uuid::Uuid;

use crate::{StoreError, data_dir::OWN_DIR};

/// One store's run: `run/<uuid>.lock`, locked for as long as this value lives.
///
/// A POSIX record lock, as it belongs to the process alone: a forked child does not keep it alive.
#[derive(Debug)]
pub(crate) struct Run {
    id: String,
    path: PathBuf,
    _lock: File,
}

impl Run {
    pub(crate) fn begin(data_dir: &Path) -> Result<Self, StoreError> {
        let id = Uuid::new_v4().to_string();
        let path = lock_path(data_dir, &id);
        let lock = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(StoreError::io("create", &path))?;
        fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|it| StoreError::io("lock", &path)(it.into()))?;
        Ok(Self {
            id,
            path,
            _lock: lock,
        })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Nothing needs the file of a run that ended; one that died leaves it behind.
        let _ = fs::remove_file(&self.path);
    }
}

fn lock_path(data_dir: &Path, id: &str) -> PathBuf {
    data_dir
        .join(OWN_DIR)
        .join("run")
        .join(format!("{id}.lock"))
}

/// The machine's name.
pub(crate) fn host() -> Option<String> {
    let name = rustix::system::uname();
    Some(name.nodename().to_string_lossy().into_owned()).filter(|it| !it.is_empty())
}

/// This boot of the machine, where the system tells it.
pub(crate) fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}
