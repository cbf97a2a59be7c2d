//! A store, a supervisor and a log in this process: workers run for real, with the offline model and the usual tools.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use artifact_store::{ArtifactStore, DEFAULT_OWNER, Metadata, StoreOptions};
use log_format::LogGuard;
use metrics_core::{Clock, WorkerId};
use offline_model::{OFFLINE_MODEL, OfflineModel};
use serde_json::json;
use supervisor_tools::{
    JobRef, RunnerSource, SpawnRequest, Supervisor, SupervisorTools, UnknownModel,
};
use tempfile::TempDir;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::SubscriberExt as _;
use worker_runner::{Agent, ChatModel, ReactAgent, RunOptions, WorkerReport, WorkerRunner};
use worker_tools::{HttpRequestOptions, ToolOptions, builtin_tools_with};

use super::{
    secrets::assert_no_secrets,
    text::{LogFile, MetricsFile},
};

/// What a lab is made of, where it is not the usual.
pub(crate) struct LabOptions {
    pub(crate) clock: Clock,
    /// Instead of the offline model with the usual tools. Such workers have no model to sum them up.
    pub(crate) agent: Option<Arc<dyn Agent>>,
    /// Workers that run at once.
    pub(crate) concurrency: usize,
    /// As in `RUST_LOG`.
    pub(crate) log_filter: String,
}

impl Default for LabOptions {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            agent: None,
            concurrency: 8,
            log_filter: "info".to_owned(),
        }
    }
}

/// A data directory of its own, removed at the end, and all that works on it. When it goes, no secret may be there.
///
/// The log is this thread's: under `#[tokio::test]`, whose tasks all run on one thread, it gets the lines of this lab's
/// workers and of nobody else's.
pub(crate) struct Lab {
    // Dropped in this order: no more events, then the last lines, then the writers, then the files.
    _default: DefaultGuard,
    log: LogGuard,
    supervisor: Supervisor,
    runner: WorkerRunner,
    dir: TempDir,
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A disk that a test took away has no log either.
        let _ = self.log.flush(Duration::from_mins(1));
        assert_no_secrets(self.data_dir());
    }
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(LabOptions::default())
    }

    /// A lab whose workers do what `agent` does.
    pub(crate) fn with_agent(agent: impl Agent) -> Self {
        Self::with(LabOptions {
            agent: Some(Arc::new(agent)),
            ..LabOptions::default()
        })
    }

    pub(crate) fn with(options: LabOptions) -> Self {
        Self::with_store(options, |_| ())
    }

    /// A lab whose data directory is not new: `prepare` has put something there before the supervisor opens.
    pub(crate) fn with_store(options: LabOptions, prepare: impl FnOnce(&ArtifactStore)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder can be made");
        let data_dir = dir.path().join("workers");
        let store = ArtifactStore::open_with(
            &data_dir,
            StoreOptions {
                clock: options.clock,
                ..StoreOptions::default()
            },
        )
        .expect("a store opens in a new folder");
        prepare(&store);
        let files = dir.path().join("files");
        std::fs::create_dir(&files).expect("a folder can be made");
        let runner = match options.agent {
            Some(agent) => WorkerRunner::new(store.clone(), agent),
            None => {
                let model: Arc<dyn ChatModel> = Arc::new(OfflineModel::new());
                let tools = builtin_tools_with(files, tool_options());
                let agent = ReactAgent::new(Arc::clone(&model), tools);
                WorkerRunner::new(store.clone(), Arc::new(agent)).summary_model(model)
            }
        };
        let log = log_format::to_file(store.own_dir().join("triscope.log"))
            .worker_id(metrics_collector::current_worker_id)
            .filter(options.log_filter)
            .build()
            .expect("a log opens in a new folder");
        let subscriber = tracing_subscriber::registry()
            .with(log.filter)
            .with(log.layer);
        let supervisor = Supervisor::open(store, Runners(runner.clone()), options.concurrency)
            .expect("a supervisor opens in a new folder");
        Self {
            _default: tracing::subscriber::set_default(subscriber),
            log: log.guard,
            supervisor,
            runner,
            dir,
        }
    }

    /// Where the workers' directories are.
    pub(crate) fn data_dir(&self) -> &Path {
        self.supervisor.store().data_dir()
    }

    /// The folder that the tool `read_file` reads from.
    pub(crate) fn files_dir(&self) -> PathBuf {
        self.dir.path().join("files")
    }

    pub(crate) fn store(&self) -> &ArtifactStore {
        self.supervisor.store()
    }

    pub(crate) fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }

    /// Runs workers that belong to no job.
    pub(crate) fn runner(&self) -> &WorkerRunner {
        &self.runner
    }

    /// The supervisor's tools for the usual owner.
    pub(crate) fn tools(&self) -> SupervisorTools {
        self.tools_of(DEFAULT_OWNER)
    }

    pub(crate) fn tools_of(&self, owner: &str) -> SupervisorTools {
        self.supervisor.tools(Some(owner))
    }

    /// Runs a job to its end, summary included; gives its number.
    pub(crate) async fn run_job(&self, task: &str) -> u64 {
        let id = self.start_job(SpawnRequest::new(task)).await;
        self.supervisor.idle().await;
        id
    }

    /// Writes a job down and starts it; gives its number.
    pub(crate) async fn start_job(&self, request: SpawnRequest) -> u64 {
        let spawned = self.tools().spawn(&request).await;
        spawned.expect("the job is written down").get()
    }

    /// Runs a worker that belongs to no job.
    pub(crate) async fn run_worker(&self, task: &str) -> WorkerReport {
        let run = self.runner.run_worker(task, RunOptions::default()).await;
        run.expect("the worker's directory can be made")
    }

    /// What the supervisor reads of a job: Tier 1.
    pub(crate) async fn read_result(&self, job: u64) -> String {
        let arguments = json!({"job_id": job});
        self.tools().call("read_worker_result", &arguments).await
    }

    pub(crate) async fn metadata(&self, job: u64) -> Metadata {
        let job = JobRef::parse(&job.to_string()).expect("a job's number");
        let metadata = self.tools().metadata(&job).await;
        metadata.expect("the job has a worker")
    }

    /// A worker's `metrics.jsonl`: Tier 2.
    #[track_caller]
    pub(crate) fn metrics(&self, worker_id: &WorkerId) -> MetricsFile {
        MetricsFile::read(&self.worker_dir(worker_id).join("metrics.jsonl"))
    }

    pub(crate) fn worker_dir(&self, worker_id: &WorkerId) -> PathBuf {
        self.data_dir().join(worker_id.as_str())
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.store().own_dir().join("triscope.log")
    }

    /// The log with all lines so far: Tier 3.
    #[track_caller]
    pub(crate) fn log(&self) -> LogFile {
        let flushed = self.log.flush(Duration::from_mins(1));
        flushed.expect("the log takes its lines");
        LogFile::read(&self.log_path())
    }
}

/// Tools that may ask the servers of tests.
fn tool_options() -> ToolOptions {
    ToolOptions {
        http: HttpRequestOptions {
            allow_private_addresses: true,
            ..HttpRequestOptions::default()
        },
        ..ToolOptions::default()
    }
}

/// The program's choice of models, over the lab's one runner.
struct Runners(WorkerRunner);

impl RunnerSource for Runners {
    fn runner(&self, model: Option<&str>) -> Result<WorkerRunner, UnknownModel> {
        match model {
            None | Some(OFFLINE_MODEL) => Ok(self.0.clone()),
            Some(other) => Err(UnknownModel {
                model: other.to_owned(),
                known: vec![OFFLINE_MODEL.to_owned()],
            }),
        }
    }
}
