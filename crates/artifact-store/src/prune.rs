//! Removing workers that are not needed any more: whole directories, the oldest first.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use metrics_core::{Timestamp, WorkerId};
use uuid::Uuid;

use crate::{
    ArtifactStore, StoreError, WorkerFilter,
    confined::{Dir, Refusal},
    data_dir::OWN_DIR,
    disk::create_private_dir,
    liveness::Pulses,
    run,
};

/// Where workers are on their way out, in triscope's own directory.
const TRASH: &str = "trash";

/// What is to go: each bound that is set holds afterwards, as far as ended workers are in its way.
#[derive(Debug, Clone, Default)]
pub struct PruneOptions {
    /// No worker is left that was made longer ago.
    pub older_than: Option<Duration>,
    /// No more workers than this are left.
    pub keep: Option<usize>,
    /// What is left takes no more bytes on the disk.
    pub max_bytes: Option<u64>,
    /// Only this owner's workers, as if there were no others.
    pub owner: Option<String>,
    /// Only tells what would be removed.
    pub dry_run: bool,
}

/// What was removed, or would be.
#[derive(Debug, Default)]
pub struct Pruned {
    /// The workers, the oldest first.
    pub removed: Vec<PrunedWorker>,
    /// What they took on the disk.
    pub bytes: u64,
    /// How many workers are left, of the owner asked for.
    pub kept: usize,
    /// Directories that are no readable worker, and workers that could not be removed.
    pub problems: Vec<StoreError>,
}

/// A worker that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunedWorker {
    /// Its id.
    pub worker_id: WorkerId,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it took on the disk.
    pub bytes: u64,
}

/// A worker that is there, and may go.
struct Candidate {
    worker_id: WorkerId,
    created_at: Timestamp,
    has_ended: bool,
    /// Only if somebody asks for it.
    bytes: u64,
}

impl ArtifactStore {
    /// Removes the oldest ended workers until all that `options` ask for holds; with no bound set, none.
    ///
    /// One that has not ended stays, also if nobody can tell whether it lives; so does what is no readable worker, or has
    /// something mounted in it. For readers a worker is there whole or not at all. What another process was killed over
    /// is removed, too, and so are the lock files of processes that died.
    ///
    /// # Errors
    /// Only if the data directory itself cannot be used; all else is a problem in the answer.
    pub fn prune(&self, options: &PruneOptions) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        let data_dir = self.dir()?;
        let trash = if options.dry_run {
            None
        } else {
            Some(Trash::open(self, &data_dir, &mut pruned.problems)?)
        };
        let workers = self.oldest_first(options, &data_dir, &mut pruned.problems)?;
        if !options.dry_run {
            // All workers were just looked at, so those of the dead are marked.
            for run in self.dead_runs()? {
                let _ = fs::remove_file(run::lock_path(&run::run_dir(self.data_dir()), &run));
            }
        }
        let made_before = options.older_than.map(|it| {
            let micros = i64::try_from(it.as_micros()).unwrap_or(i64::MAX);
            self.clock().timestamp().plus_micros(-micros)
        });
        let mut bytes_left: u64 = workers.iter().map(|it| it.bytes).sum();
        pruned.kept = workers.len();
        for worker in &workers {
            let is_too_much = made_before.is_some_and(|it| worker.created_at < it)
                || options.keep.is_some_and(|it| pruned.kept > it)
                || options.max_bytes.is_some_and(|it| bytes_left > it);
            if !is_too_much || !worker.has_ended {
                continue;
            }
            match self.remove(worker, &data_dir, trash.as_ref(), &mut pruned.problems) {
                Ok(Some(bytes)) => {
                    pruned.bytes += bytes;
                    pruned.removed.push(PrunedWorker {
                        worker_id: worker.worker_id.clone(),
                        created_at: worker.created_at,
                        bytes,
                    });
                }
                Ok(None) => {}
                Err(problem) => {
                    pruned.problems.push(problem);
                    continue;
                }
            }
            pruned.kept -= 1;
            bytes_left -= worker.bytes;
        }
        Ok(pruned)
    }

    fn oldest_first(
        &self,
        options: &PruneOptions,
        data_dir: &Dir,
        problems: &mut Vec<StoreError>,
    ) -> Result<Vec<Candidate>, StoreError> {
        let filter = WorkerFilter {
            owner: options.owner.clone(),
            ..WorkerFilter::default()
        };
        let (mut workers, mut pulses) = (Vec::new(), Pulses::default());
        for second in self.seconds_newest_first(None)? {
            let list = self.read_second(&second, &filter, &mut pulses);
            problems.extend(list.problems);
            workers.extend(list.workers.into_iter().map(|it| Candidate {
                created_at: it.created_at,
                has_ended: it.status.is_final(),
                bytes: 0,
                worker_id: it.worker_id,
            }));
        }
        workers.sort_by(|one, other| {
            let by_time = one.created_at.cmp(&other.created_at);
            by_time.then_with(|| one.worker_id.as_str().cmp(other.worker_id.as_str()))
        });
        if options.max_bytes.is_some() {
            for worker in &mut workers {
                // What cannot be measured cannot be removed either, and is named then.
                worker.bytes = data_dir
                    .own_subdir(worker.worker_id.as_str())
                    .and_then(|it| it.bytes_on_disk())
                    .unwrap_or(0);
            }
        }
        Ok(workers)
    }

    /// Removes the worker, or without a trash only finds out what that would free; `None` if somebody else was quicker.
    fn remove(
        &self,
        worker: &Candidate,
        data_dir: &Dir,
        trash: Option<&Trash>,
        problems: &mut Vec<StoreError>,
    ) -> Result<Option<u64>, StoreError> {
        let id = worker.worker_id.as_str();
        let path = self.data_dir().join(id);
        // It was looked at a while ago, where there are many.
        match self.metadata_if_there(&worker.worker_id, &mut Pulses::default()) {
            None => return Ok(None),
            Some(Ok(it)) if it.status.is_final() && it.created_at == worker.created_at => {}
            Some(Ok(_)) => return Err(unremovable(&path)("it has changed meanwhile")),
            Some(Err(problem)) => return Err(problem),
        }
        let measured = data_dir.own_subdir(id).and_then(|it| it.bytes_on_disk());
        let bytes = match measured {
            Ok(bytes) => bytes,
            Err(Refusal::NotFound) => return Ok(None),
            Err(refusal) => return Err(refused(&path, refusal)),
        };
        let Some(trash) = trash else {
            return Ok(Some(bytes));
        };
        let path_there = match trash.take(data_dir, id) {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unremovable(&path)(error)),
        };
        Ok(Some(match remove_all(&path_there) {
            Ok(()) => bytes,
            Err(error) => {
                // It is no worker any more. The next one to prune tries again.
                problems.push(unremovable(&path_there)(error));
                0
            }
        }))
    }
}

/// The directory that workers are moved to before they are removed, so that nobody meets half of one.
struct Trash {
    path: PathBuf,
    dir: Dir,
}

impl Trash {
    /// Opens it, and removes what another process was killed over.
    fn open(
        store: &ArtifactStore,
        data_dir: &Dir,
        problems: &mut Vec<StoreError>,
    ) -> Result<Self, StoreError> {
        let path = store.own_dir().join(TRASH);
        match create_private_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io("create", path)(error));
            }
            _ => {}
        }
        // A link in its place would lead the workers elsewhere.
        let dir = data_dir.own_subdir(OWN_DIR);
        let dir = dir.and_then(|it| it.own_subdir(TRASH));
        let dir = dir.map_err(|it| match it {
            Refusal::Io(error) => StoreError::io("open", &path)(error),
            Refusal::NotConfined(_) | Refusal::NotFound => StoreError::Damaged {
                path: path.clone(),
                reason: "it is no directory of the store's own; move it away".to_owned(),
            },
        })?;
        for entry in dir.entries().map_err(StoreError::io("list", &path))? {
            let path = path.join(&entry.name);
            let measured = match dir.own_subdir(&entry.name) {
                Ok(it) => it.bytes_on_disk(),
                Err(_) if !entry.is_dir => Ok(0),
                Err(refusal) => Err(refusal),
            };
            let removed = match measured {
                Ok(_) => remove_all(&path).map_err(unremovable(&path)),
                Err(Refusal::NotFound) => Ok(()),
                Err(refusal) => Err(refused(&path, refusal)),
            };
            problems.extend(removed.err());
        }
        Ok(Self { path, dir })
    }

    /// Moves a worker in here; gives its new path.
    fn take(&self, data_dir: &Dir, id: &str) -> io::Result<PathBuf> {
        let name = Uuid::new_v4().simple().to_string();
        data_dir.move_to(id, &self.dir, &name)?;
        Ok(self.path.join(name))
    }
}

/// Removes a directory and all in it, following no links.
fn remove_all(path: &Path) -> io::Result<()> {
    let removed = if fs::symlink_metadata(path).is_ok_and(|it| it.is_dir()) {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        // Another process is at it, too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn refused(path: &Path, refusal: Refusal) -> StoreError {
    match refusal {
        Refusal::NotConfined(problem) => unremovable(path)(problem),
        Refusal::NotFound => unremovable(path)("it is gone"),
        Refusal::Io(error) => unremovable(path)(error),
    }
}

fn unremovable<P: ToString>(path: &Path) -> impl FnOnce(P) -> StoreError {
    move |problem| StoreError::Unremovable {
        path: path.to_owned(),
        problem: problem.to_string(),
    }
}
