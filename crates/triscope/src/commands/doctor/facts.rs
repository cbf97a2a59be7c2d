//! What is known of a worker once its directory was looked at.

use std::path::PathBuf;

use artifact_store::{
    ArtifactStore, Liveness, Metadata, StoreError, WorkerFilter, WorkerReader, file_names,
};
use metrics_core::{Event, LineContent, WorkerId};

use crate::commands::last_attempt;

/// Workers that are looked at unless one is named: reading all events of all workers can take long.
const NEWEST: usize = 1_000;
/// Lines of one file that are told one by one.
const TOLD_LINES: usize = 100;

/// The workers that are looked at.
#[derive(Debug, Default)]
pub(super) struct Workers {
    pub(super) readable: Vec<Worker>,
    /// Directories that are no readable worker, and why.
    pub(super) problems: Vec<StoreError>,
    /// Whether there are older ones.
    pub(super) are_more: bool,
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) metadata: Metadata,
    pub(super) liveness: Liveness,
    pub(super) path: PathBuf,
    pub(super) metrics: Result<Metrics, StoreError>,
    pub(super) has_torn_tail: bool,
    /// Files whose writing was broken off, or goes on.
    pub(super) unfinished: Vec<String>,
    pub(super) files: Vec<String>,
}

/// What `metrics.jsonl` holds.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    /// Lines that are events, also of kinds that this version does not know.
    pub(super) events: u64,
    pub(super) llm_calls: u64,
    pub(super) tool_calls: u64,
    pub(super) failed: u64,
    /// Lines that cannot be used: their numbers, and why; of many the first.
    pub(super) unusable: Vec<(u64, String)>,
    pub(super) n_unusable: u64,
    /// Whether the file ends within a line.
    pub(super) is_torn: bool,
}

impl Workers {
    /// The newest workers.
    pub(super) fn newest(store: &ArtifactStore) -> Result<Self, StoreError> {
        let filter = WorkerFilter {
            limit: Some(NEWEST + 1),
            ..WorkerFilter::default()
        };
        let mut list = store.list(&filter)?;
        let are_more = list.workers.len() > NEWEST;
        list.workers.truncate(NEWEST);
        let mut workers = Self {
            readable: Vec::new(),
            problems: list.problems,
            are_more,
        };
        for metadata in list.workers {
            workers.add(store, metadata);
        }
        Ok(workers)
    }

    /// The worker of this id alone.
    pub(super) fn one(store: &ArtifactStore, id: &WorkerId) -> Result<Self, StoreError> {
        let mut workers = Self::default();
        match store.worker(id)?.metadata() {
            Ok(metadata) => workers.add(store, metadata),
            Err(problem) => workers.problems.push(problem),
        }
        Ok(workers)
    }

    /// The worker of a job's last attempt.
    pub(super) fn of_job(store: &ArtifactStore, job: u64) -> Result<Self, StoreError> {
        let list = store.list(&WorkerFilter::default())?;
        let mut workers = Self::default();
        match last_attempt(list.workers, job) {
            Some(metadata) => workers.add(store, metadata),
            // It may be one of these.
            None => workers.problems = list.problems,
        }
        Ok(workers)
    }

    fn add(&mut self, store: &ArtifactStore, metadata: Metadata) {
        match Worker::look_at(store, metadata) {
            Ok(worker) => self.readable.push(worker),
            Err(problem) => self.problems.push(problem),
        }
    }
}

impl Worker {
    fn look_at(store: &ArtifactStore, metadata: Metadata) -> Result<Self, StoreError> {
        let reader = store.worker(&metadata.worker_id)?;
        let files = reader.files()?;
        Ok(Self {
            liveness: store.liveness(&metadata),
            metadata,
            path: reader.path().to_owned(),
            metrics: Metrics::read(&reader),
            has_torn_tail: files.iter().any(|it| it == file_names::TORN),
            unfinished: reader.unfinished_files()?,
            files,
        })
    }

    pub(super) fn metrics_path(&self) -> PathBuf {
        self.path.join(file_names::METRICS)
    }
}

impl Metrics {
    fn read(reader: &WorkerReader) -> Result<Self, StoreError> {
        let mut events = reader.events()?;
        let mut metrics = Self::default();
        let path = reader.path().join(file_names::METRICS);
        let broken_off = |source| StoreError::Io {
            action: "read",
            path,
            source,
        };
        loop {
            match events.next_line() {
                Ok(Some(line)) => metrics.take(line.number, &line.content),
                Ok(None) => break,
                Err(error) => return Err(broken_off(error)),
            }
        }
        if let Some(line) = events.unfinished() {
            metrics.is_torn = true;
            if !matches!(line.content, LineContent::Unusable(_)) {
                metrics.take(line.number, &line.content);
            }
        }
        Ok(metrics)
    }

    fn take(&mut self, number: u64, content: &LineContent<'_>) {
        match content {
            LineContent::Event(event) => {
                self.events += 1;
                let is_llm_call = matches!(event, Event::LlmCall(_));
                self.llm_calls += u64::from(is_llm_call);
                self.tool_calls += u64::from(!is_llm_call);
                self.failed += u64::from(!event.outcome().is_success());
            }
            LineContent::Unusable(fault) => {
                self.n_unusable += 1;
                if self.unusable.len() < TOLD_LINES {
                    self.unusable.push((number, fault.to_string()));
                }
            }
            _ => self.events += 1,
        }
    }
}
