//! This process's runs, and what can be learnt of another one's: a lock that is free once its process is dead.
//!
//! POSIX record locks, as they belong to the process alone: a forked child does not keep one alive. The price: within its
//! own process such a lock is in nobody's way, and closing any descriptor of its file drops it. So this process knows its
//! runs by heart and never opens their files again; whoever adds code that opens files below `run/` keeps to that.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    fs::{FlockOperation, OFlags, fcntl_lock},
    process::{Flock, FlockType, fcntl_getlk},
};
use uuid::Uuid;

use crate::{
    StoreError,
    data_dir::OWN_DIR,
    disk::{Open, open_plain},
};

/// One store's run: `run/<uuid>.lock`, locked for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Run {
    id: String,
    path: PathBuf,
    _lock: File,
}

/// What a run's lock says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pulse {
    /// It is held.
    Held,
    /// It is free, or its file is gone.
    Free,
    /// It cannot be asked.
    Unclear,
}

impl Run {
    pub(crate) fn begin(data_dir: &Path) -> Result<Self, StoreError> {
        let id = Uuid::new_v4().to_string();
        let path = lock_path(&run_dir(data_dir), &id);
        // Locked before it has its name, so that nobody ever finds it free.
        let aside = path.with_extension("new");
        let lock = open_plain(&aside, Open::New).map_err(StoreError::io("create", &aside))?;
        own_runs().insert(id.clone(), process::id());
        let locked = fcntl_lock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|it| StoreError::io("lock", &aside)(it.into()))
            .and_then(|()| fs::rename(&aside, &path).map_err(StoreError::io("create", &path)));
        if let Err(error) = locked {
            let _ = fs::remove_file(&aside);
            own_runs().remove(&id);
            return Err(error);
        }
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
        // A forked child that drops its copy leaves the run to its parent.
        if is_own(&self.id) {
            // Nothing needs the file of a run that ended; one that died leaves it behind.
            let _ = fs::remove_file(&self.path);
            own_runs().remove(&self.id);
        }
    }
}

/// Asks whether the process of the run `id` lives, without taking its lock. `id` is any text.
pub(crate) fn pulse(run_dir: &Path, id: &str) -> Pulse {
    if is_own(id) {
        return Pulse::Held;
    }
    // Only a name of our making becomes a path.
    if Uuid::try_parse(id).is_ok_and(|it| it.hyphenated().to_string() == id) {
        match is_locked(&lock_path(run_dir, id)) {
            Ok(true) => return Pulse::Held,
            Ok(false) => return Pulse::Free,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Pulse::Free,
            Err(_) => {}
        }
    }
    Pulse::Unclear
}

fn is_locked(path: &Path) -> io::Result<bool> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    let in_the_way = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?;
    Ok(in_the_way.is_some())
}

/// The runs of this process. The number tells the process from one that was forked with this memory in it.
static OWN_RUNS: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

fn own_runs() -> MutexGuard<'static, BTreeMap<String, u32>> {
    OWN_RUNS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether it is a run of this very process.
pub(crate) fn is_own(id: &str) -> bool {
    own_runs().get(id) == Some(&process::id())
}

/// Where the lock files are.
pub(crate) fn run_dir(data_dir: &Path) -> PathBuf {
    data_dir.join(OWN_DIR).join("run")
}

pub(crate) fn lock_path(run_dir: &Path, id: &str) -> PathBuf {
    run_dir.join(format!("{id}.lock"))
}
