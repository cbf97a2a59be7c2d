//! The store: a data directory full of workers.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use metrics_core::{Clock, Timestamp, TraceContext, WorkerId};
use serde_json::Value;

use crate::{
    StoreError,
    confined::{Dir, Refusal},
    data_dir::{self, IfMissing, OWN_DIR},
    death::{Deaths, WorkerDeath},
    disk::{Disk, SystemDisk},
    metadata::{DEFAULT_OWNER, METADATA_FORMAT, Metadata, Status},
    reader::WorkerReader,
    run::Run,
    worker::WorkerWriter,
    worker_id,
    writer::{Budget, RecordMode, Writer},
};

/// A data directory and the workers in it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ArtifactStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    data_dir: PathBuf,
    clock: Clock,
    /// Each worker made here holds it too: its process lives, even if this store is gone.
    run: Arc<Run>,
    /// Each reader holds it too.
    deaths: Arc<Deaths>,
    writer: Arc<Writer>,
    /// Of the last two seconds asked for: where one ends, threads that read the clock before and after it meet.
    numbers: Mutex<[Numbers; 2]>,
    #[cfg(feature = "index")]
    index: crate::index::Index,
}

/// The next free number of each id of one second. A hint: without it many workers with one task would each try all
/// numbers from the first.
#[derive(Debug, Default)]
struct Numbers {
    second: String,
    next: HashMap<WorkerId, u32>,
}

/// What a worker to be made is.
#[derive(Debug, Clone)]
pub struct NewWorker {
    /// The whole task; its beginning names the worker.
    pub task: String,
    /// What it is started with, for `metadata.json`.
    pub config: Value,
    /// Whose it is.
    pub owner: String,
    /// Its place in a trace.
    pub trace: TraceContext,
    /// The worker that starts it.
    pub parent_worker_id: Option<WorkerId>,
    /// The supervisor's job that it carries out.
    pub job_id: Option<u64>,
    /// Which attempt at that job, from 1.
    pub attempt: Option<u32>,
}

impl NewWorker {
    /// A worker for `task` at the root of a trace of its own.
    pub fn new(task: impl Into<String>) -> Self {
        Self {
            task: task.into(),
            config: Value::Null,
            owner: DEFAULT_OWNER.to_owned(),
            trace: TraceContext::root(),
            parent_worker_id: None,
            job_id: None,
            attempt: None,
        }
    }
}

/// How a store works; the default suits most programs.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// What to do about a data directory that is not there.
    pub if_missing: IfMissing,
    /// Stamps workers.
    pub clock: Clock,
    /// What recording an event waits for.
    pub recording: RecordMode,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            if_missing: IfMissing::Create,
            clock: Clock::system(),
            recording: RecordMode::default(),
        }
    }
}

impl ArtifactStore {
    /// Opens the store in `data_dir`, which is made if it is missing.
    ///
    /// # Errors
    /// [`StoreError::DataDir`] if it is no directory or cannot be written.
    pub fn open(data_dir: impl Into<PathBuf>) -> Result<Self, StoreError> {
        Self::open_with(data_dir, StoreOptions::default())
    }

    /// Opens the store in `data_dir`.
    ///
    /// # Errors
    /// [`StoreError::DataDir`] if it is no directory, cannot be written, or is missing and must not be made.
    pub fn open_with(
        data_dir: impl Into<PathBuf>,
        options: StoreOptions,
    ) -> Result<Self, StoreError> {
        Self::open_on(Arc::new(SystemDisk), data_dir.into(), options)
    }

    /// Opens a store whose workers are on `disk`.
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        data_dir: PathBuf,
        options: StoreOptions,
    ) -> Result<Self, StoreError> {
        let StoreOptions {
            if_missing,
            clock,
            recording,
        } = options;
        data_dir::prepare(&data_dir, if_missing)?;
        let writer = Writer::start(disk, Budget::of_process(), recording)
            .map_err(StoreError::io("start the writer thread for", &data_dir))?;
        for dir in data_dir.ancestors() {
            match writer.files().sync_name(dir) {
                // Made by somebody else, long ago.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
                synced => synced.map_err(StoreError::io("sync the parent of", dir))?,
            }
        }
        Ok(Self(Arc::new(Inner {
            run: Arc::new(Run::begin(&data_dir)?),
            deaths: Arc::new(Deaths::of(&data_dir)),
            #[cfg(feature = "index")]
            index: crate::index::Index::new(data_dir.clone()),
            data_dir,
            clock,
            writer,
            numbers: Mutex::default(),
        })))
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Path {
        &self.0.data_dir
    }

    /// Where triscope keeps what belongs to no worker: the log, the job book.
    pub fn own_dir(&self) -> PathBuf {
        self.0.data_dir.join(OWN_DIR)
    }

    /// The run of this store in this process, as metadata and jobs name it.
    pub fn run_id(&self) -> &str {
        self.0.run.id()
    }

    /// The clock that stamps workers.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// Has `tell` called for each worker that this store finds dead and marks as such. The first caller is heard; whether
    /// this one is. A `tell` that holds the store keeps it for ever.
    pub fn on_worker_death(&self, tell: impl Fn(&WorkerDeath) + Send + Sync + 'static) -> bool {
        self.0.deaths.on_death(Box::new(tell))
    }

    /// Makes a worker: its directory, `metadata.json`, an empty `metrics.jsonl`.
    ///
    /// Safe across processes: the directory's creation claims the id.
    ///
    /// # Errors
    /// [`StoreError::Io`] if the directory or its files cannot be made.
    pub fn create_worker(&self, new: NewWorker) -> Result<WorkerWriter, StoreError> {
        let now = self.0.clock.timestamp();
        let (worker_id, dir) = self.claim_dir(now, &new.task)?;
        let machine = self.0.deaths.machine();
        let metadata = Metadata {
            worker_id,
            task: new.task,
            config: new.config,
            status: Status::Created,
            created_at: now,
            started_at: None,
            finished_at: None,
            duration_ms: None,
            duration_us: None,
            error: None,
            summary: None,
            summary_meta: Value::Null,
            owner: new.owner,
            trace_id: Some(new.trace.trace_id),
            span_id: Some(new.trace.span_id),
            parent_worker_id: new.parent_worker_id,
            parent_span_id: new.trace.parent_span_id,
            job_id: new.job_id,
            attempt: new.attempt,
            run: Some(self.run_id().to_owned()),
            host: machine.host.clone(),
            boot_id: machine.boot_id.clone(),
            events: None,
            events_lost: None,
            usage: None,
            format: METADATA_FORMAT,
            extra: serde_json::Map::new(),
        };
        WorkerWriter::create(dir, metadata, &self.0.writer, &self.0.run)
    }

    /// The worker `worker_id`, for reading.
    ///
    /// # Errors
    /// [`StoreError::WorkerNotFound`] if there is none, also for an id that could not be a directory's name.
    pub fn worker(&self, worker_id: &WorkerId) -> Result<WorkerReader, StoreError> {
        self.worker_in(&self.dir()?, worker_id)
    }

    /// One of many workers, of the open data directory.
    pub(crate) fn worker_in(
        &self,
        data_dir: &Dir,
        worker_id: &WorkerId,
    ) -> Result<WorkerReader, StoreError> {
        let not_found = || StoreError::WorkerNotFound {
            worker_id: worker_id.clone(),
            data_dir: self.0.data_dir.clone(),
        };
        if worker_id.as_str().starts_with('.') {
            return Err(not_found());
        }
        match data_dir.subdir(worker_id.as_str()) {
            Ok(dir) => Ok(WorkerReader::new(
                worker_id.clone(),
                self.0.data_dir.join(worker_id.as_str()),
                dir,
                Arc::clone(&self.0.deaths),
            )),
            Err(Refusal::Io(source)) => Err(StoreError::Io {
                action: "open",
                path: self.0.data_dir.join(worker_id.as_str()),
                source,
            }),
            Err(Refusal::NotFound | Refusal::NotConfined(_)) => Err(not_found()),
        }
    }

    /// Calls `body` where blocking is allowed, for use from async code.
    ///
    /// # Errors
    /// As `body`; [`StoreError::Io`] if it panicked or the runtime shuts down.
    #[cfg(feature = "tokio")]
    pub async fn unblock<T: Send + 'static>(
        &self,
        body: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let joined = tokio::task::spawn_blocking(move || body(&store)).await;
        joined.unwrap_or_else(|error| {
            Err(StoreError::io("work in", self.data_dir())(
                io::Error::other(error),
            ))
        })
    }

    pub(crate) fn deaths(&self) -> &Deaths {
        &self.0.deaths
    }

    #[cfg(feature = "index")]
    pub(crate) fn index(&self) -> &crate::index::Index {
        &self.0.index
    }

    pub(crate) fn dir(&self) -> Result<Dir, StoreError> {
        Dir::open(&self.0.data_dir).map_err(|refusal| StoreError::DataDir {
            path: self.0.data_dir.clone(),
            problem: match refusal {
                Refusal::NotFound => "is gone".to_owned(),
                Refusal::NotConfined(problem) => problem.to_owned(),
                Refusal::Io(error) => format!("cannot be opened: {error}"),
            },
        })
    }

    fn claim_dir(&self, now: Timestamp, task: &str) -> Result<(WorkerId, PathBuf), StoreError> {
        loop {
            let n = self.next_number(now, task);
            let worker_id = worker_id::worker_id(now, task, n);
            let dir = self.0.data_dir.join(worker_id.as_str());
            match self.0.writer.files().disk.create_dir(&dir) {
                Ok(()) => return Ok((worker_id, dir)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < u32::MAX => {}
                Err(error) => return Err(StoreError::io("create", dir)(error)),
            }
        }
    }

    /// A number that nobody asked this store for in this second.
    pub(crate) fn next_number(&self, now: Timestamp, task: &str) -> u32 {
        let second = worker_id::stamp(now);
        let mut numbers = self
            .0
            .numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if numbers[0].second != second {
            numbers.swap(0, 1);
        }
        if numbers[0].second != second {
            numbers[0] = Numbers {
                second,
                next: HashMap::new(),
            };
        }
        let next = numbers[0]
            .next
            .entry(worker_id::worker_id(now, task, 1))
            .or_insert(1);
        let n = *next;
        *next = n.saturating_add(1);
        n
    }
}
