//! The writing side of one worker's directory.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use metrics_core::{EventSink, WorkerId};
use serde::Serialize;

use crate::{
    StoreError,
    artifact::create_new,
    disk::is_out_of_descriptors,
    metadata::Metadata,
    room::Room,
    run::Run,
    whole_file::Files,
    writer::{EventCounts, MetricsFile, Writer},
};

/// The file names in a worker's directory.
pub mod file_names {
    /// What the worker is and how it went.
    pub const METADATA: &str = "metadata.json";
    /// The canonical result.
    pub const RESULT: &str = "result.txt";
    /// The conversation, one message a line.
    pub const THREAD: &str = "thread.jsonl";
    /// Tier 2, one event a line.
    pub const METRICS: &str = "metrics.jsonl";
    /// What stood behind the last line end of `metrics.jsonl` when its writer was gone.
    pub const TORN: &str = "metrics.torn";
    /// Calls in flight for a while, as they are now.
    pub const ACTIVITY: &str = "activity.json";
    /// The tools' whole outputs, a file each.
    pub const TOOL_CALLS: &str = "tool_calls";
}

/// The one writer of a worker's directory. Dropping it waits for its events, 2 s at most.
#[derive(Debug)]
pub struct WorkerWriter {
    worker_id: WorkerId,
    dir: PathBuf,
    metadata: Mutex<Metadata>,
    /// Held while a line is appended to `thread.jsonl`.
    thread: Mutex<()>,
    metrics: Arc<MetricsFile>,
    files: Files,
    room: Room,
    /// It is made and has not ended: its events need room, and what could not be written once is written with the next.
    is_at_work: AtomicBool,
    /// The worker is alive for other processes as long as this lives, which may be longer than its store.
    _run: Arc<Run>,
}

impl WorkerWriter {
    pub(crate) fn create(
        dir: PathBuf,
        metadata: Metadata,
        writer: &Arc<Writer>,
        run: &Arc<Run>,
    ) -> Result<Self, StoreError> {
        let files = writer.files().clone();
        let room = Room::none(&dir);
        let metrics_path = dir.join(file_names::METRICS);
        let worker_id = metadata.worker_id.clone();
        let metrics = MetricsFile::new(worker_id.clone(), metrics_path.clone(), Arc::clone(writer));
        let worker = Self {
            worker_id,
            dir,
            metadata: Mutex::new(metadata),
            thread: Mutex::default(),
            metrics,
            files,
            room,
            is_at_work: AtomicBool::new(false),
            _run: Arc::clone(run),
        };
        let created = worker
            .attempt(|files| files.write_new(&metrics_path, b""))
            .map_err(StoreError::io("create", &metrics_path));
        let created = created.and_then(|()| worker.update(|_| ())).and_then(|()| {
            // Last: a name that survives a power cut shall not lead to a directory without metadata.
            let synced = worker.files.sync_name(&worker.dir);
            synced.map_err(StoreError::io("sync the parent of", &worker.dir))
        });
        match created {
            Ok(()) => {
                let task = worker.lock().task.len();
                worker.room.keep(&worker.files, task);
                worker.is_at_work.store(true, Ordering::Relaxed);
                Ok(worker)
            }
            Err(error) => {
                // A directory without metadata would be reported for ever. What is not ours stays.
                for file in [file_names::METADATA, file_names::METRICS] {
                    let _ = worker.files.disk.remove(&worker.dir.join(file));
                }
                let _ = fs::remove_dir(&worker.dir);
                Err(error)
            }
        }
    }

    /// The worker's id.
    pub fn id(&self) -> WorkerId {
        self.worker_id.clone()
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The sink behind its `metrics.jsonl`.
    pub fn sink(&self) -> Arc<dyn EventSink> {
        Arc::clone(&self.metrics) as Arc<dyn EventSink>
    }

    /// How many events its sink has taken and lost so far.
    pub fn event_counts(&self) -> EventCounts {
        self.metrics.counts()
    }

    /// Waits up to `timeout` until all recorded events are in `metrics.jsonl`; what is not there by then is lost. Gives
    /// the counts and, where events were lost, why.
    pub fn finish_metrics(&self, timeout: Duration) -> (EventCounts, Option<String>) {
        let closed = self.metrics.close(timeout);
        self.is_at_work.store(false, Ordering::Relaxed);
        closed
    }

    /// What `metadata.json` says.
    pub fn metadata(&self) -> Metadata {
        self.lock().clone()
    }

    /// Changes `metadata.json`: the whole file is written aside and renamed. `change` must not call this worker's
    /// `update` or `metadata`, which would wait for each other; the worker's id stays what it is.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the change is kept in memory and written with the next one.
    pub fn update(&self, change: impl FnOnce(&mut Metadata)) -> Result<(), StoreError> {
        let path = self.dir.join(file_names::METADATA);
        let mut metadata = self.lock();
        change(&mut metadata);
        metadata.worker_id = self.worker_id.clone(); // Another one's file could not be read any more.
        let mut json = serde_json::to_vec_pretty(&*metadata).map_err(|it| StoreError::Damaged {
            path: path.clone(),
            reason: it.to_string(),
        })?;
        json.push(b'\n');
        self.attempt(|files| files.write_whole(&path, &json))
            .map_err(StoreError::io("write", path))
    }

    /// Writes `result.txt`.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn write_result(&self, result: &str) -> Result<(), StoreError> {
        let path = self.dir.join(file_names::RESULT);
        self.attempt(|files| files.write_whole(&path, result.as_bytes()))
            .map_err(StoreError::io("write", path))
    }

    /// Appends one message to `thread.jsonl`: the whole line or, with an error, none of it.
    ///
    /// # Errors
    /// [`StoreError::Io`]; [`StoreError::Damaged`] if `message` cannot be written as JSON.
    pub fn append_message(&self, message: &impl Serialize) -> Result<(), StoreError> {
        let path = self.dir.join(file_names::THREAD);
        let mut line = serde_json::to_vec(message).map_err(|it| StoreError::Damaged {
            path: path.clone(),
            reason: it.to_string(),
        })?;
        line.push(b'\n');
        let _one_at_a_time = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        self.attempt(|files| files.append_line(&path, &line))
            .map_err(StoreError::io("append to", path))
    }

    /// Keeps a tool's whole output as `tool_calls/001_ssh_exec.txt`; `number` counts the worker's tool calls from 1.
    /// Gives the path relative to the worker's directory.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn save_tool_output(
        &self,
        number: usize,
        tool: &str,
        output: &str,
    ) -> Result<String, StoreError> {
        let dir = self.tool_calls_dir()?;
        let name = format!("{number:03}_{}.txt", plain_name(tool));
        let path = dir.join(&name);
        self.attempt(|files| files.write_whole(&path, output.as_bytes()))
            .map_err(StoreError::io("write", path))?;
        Ok(format!("{}/{name}", file_names::TOOL_CALLS))
    }

    /// Makes `tool_calls/001_ssh_exec.whole.txt`, for output that is written as it comes because it is too long for
    /// [`save_tool_output`](Self::save_tool_output). Gives the path relative to the worker's directory, too.
    ///
    /// # Errors
    /// [`StoreError::Io`], also where such a file is there already.
    pub fn create_tool_output(
        &self,
        number: usize,
        tool: &str,
    ) -> Result<(File, String), StoreError> {
        let dir = self.tool_calls_dir()?;
        let name = format!("{number:03}_{}.whole.txt", plain_name(tool));
        let file = create_new(dir.join(&name))?;
        Ok((file, format!("{}/{name}", file_names::TOOL_CALLS)))
    }

    /// The directory of tool outputs, made where it is not there yet.
    fn tool_calls_dir(&self) -> Result<PathBuf, StoreError> {
        let dir = self.dir.join(file_names::TOOL_CALLS);
        let created = self.files.disk.create_dir(&dir);
        match created.and_then(|()| self.files.sync_name(&dir)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(StoreError::io("create", dir)(error))
            }
            _ => Ok(dir),
        }
    }

    /// Does something, and again where it failed for want of what this store holds back.
    fn attempt(&self, act: impl Fn(&Files) -> io::Result<()>) -> io::Result<()> {
        // Descriptors that are in use right now are free in a moment, but many may be after them. A worker at work is
        // not held up for long; how it began and ended has to be written, as nothing would repeat it.
        const PAUSE: Duration = Duration::from_millis(5);
        let patience = if self.is_at_work.load(Ordering::Relaxed) {
            Duration::from_millis(500)
        } else {
            Duration::from_secs(20)
        };
        let mut first_failure = None;
        loop {
            let error = match act(&self.files) {
                Err(error) if self.let_go_for(&error) => error,
                done => return done,
            };
            match first_failure {
                None => first_failure = Some(Instant::now()),
                Some(at) if at.elapsed() < patience => thread::sleep(PAUSE),
                Some(_) => return Err(error),
            }
        }
    }

    fn let_go_for(&self, error: &io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                !self.is_at_work.load(Ordering::Relaxed) && self.room.give_back(&self.files)
            }
            // Somebody removed the directory. What a worker found out is kept all the same.
            io::ErrorKind::NotFound if !self.is_at_work.load(Ordering::Relaxed) => {
                let made_again = self.files.disk.create_dir(&self.dir).is_ok();
                if made_again {
                    // The events that went with it are counted; a worker without the file would be a damaged one.
                    let _ = self
                        .files
                        .write_new(&self.dir.join(file_names::METRICS), b"");
                }
                made_again && self.files.sync_name(&self.dir).is_ok()
            }
            _ if is_out_of_descriptors(error) => {
                self.metrics.close_all_handles();
                true
            }
            _ => false,
        }
    }

    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    fn lock(&self) -> MutexGuard<'_, Metadata> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WorkerWriter {
    fn drop(&mut self) {
        self.metrics.close(Duration::from_secs(2));
        self.room.give_back(&self.files);
    }
}

/// A tool's name as a part of a file name.
fn plain_name(tool: &str) -> String {
    let plain: String = tool
        .chars()
        .map(|it| {
            if it.is_ascii_alphanumeric() || it == '-' {
                it
            } else {
                '_'
            }
        })
        .take(60)
        .collect();
    if plain.is_empty() {
        "tool".to_owned()
    } else {
        plain
    }
}
