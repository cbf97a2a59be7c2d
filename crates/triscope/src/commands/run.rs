//! `triscope run`: one worker, from its task to its result.

use std::time::Duration;

use artifact_store::{Metadata, Status, StoreError, WorkerUsage};
use program_agent::Surroundings;
use serde::Serialize;
use supervisor_tools::{JobId, JobRef, SpawnRequest, SupervisorTools, ToolFailure, missing_result};
use worker_runner::DEFAULT_TIMEOUT;

use crate::{app::App, cli::Run, exit::Exit, output, progress::Progress, signals::Signals};

/// Longer than any worker may run.
pub(super) const FOR_EVER: Duration = Duration::from_hours(24 * 365);
/// What a second signal still leaves to the first one's work: stopped workers kill what their tools started.
pub(super) const LAST_GRACE: Duration = Duration::from_millis(500);

pub(crate) async fn run(app: &App, arguments: Run) -> Result<Exit, ToolFailure> {
    let signals = Signals::listen();
    let tools = app.supervisor.tools(Some(&arguments.owner));
    let surroundings = Surroundings::of_process();
    let request = SpawnRequest {
        model: Some(arguments.models.model),
        timeout: arguments.timeout.unwrap_or(DEFAULT_TIMEOUT),
        trace: surroundings.trace,
        parent_worker_id: surroundings.worker_id,
        ..SpawnRequest::new(arguments.task)
    };
    match begun(tools.spawn(&request).await)? {
        Ok(id) => to_its_end(app, &tools, id, arguments.json, signals).await,
        Err(exit) => Ok(exit),
    }
}

/// The job; or how the program ends if there is none, as what was asked for makes no sense.
pub(super) fn begun(
    spawned: Result<JobId, ToolFailure>,
) -> Result<Result<JobId, Exit>, ToolFailure> {
    match spawned {
        Ok(id) => Ok(Ok(id)),
        Err(refused @ ToolFailure::Refused(_)) => {
            super::failed(&refused);
            Ok(Err(Exit::Usage))
        }
        Err(other) => Err(other),
    }
}

/// Waits for a job, prints its result and gives its exit code.
pub(super) async fn to_its_end(
    app: &App,
    tools: &SupervisorTools,
    id: JobId,
    json: bool,
    signals: Signals,
) -> Result<Exit, ToolFailure> {
    let interrupted = wait(app, vec![id], signals).await?;
    let job = JobRef::Job(id);
    if json {
        output::print_json(&report(app, tools, &job).await?);
    } else {
        output::print(&tools.read_worker_result(&job).await?);
    }
    if let Some(exit) = interrupted {
        return Ok(exit);
    }
    exit_of(tools, &job).await
}

/// Whether the job did what it should.
pub(crate) async fn exit_of(tools: &SupervisorTools, job: &JobRef) -> Result<Exit, ToolFailure> {
    let status = tools.metadata(job).await?.status;
    Ok(if status == Status::Success {
        Exit::Done
    } else {
        Exit::JobFailed
    })
}

/// Waits for jobs and their summaries. A signal cancels them and is told; a second one ends the program at once.
pub(crate) async fn wait(
    app: &App,
    jobs: Vec<JobId>,
    mut signals: Signals,
) -> Result<Option<Exit>, ToolFailure> {
    let progress = Progress::show(app);
    let interrupted = tokio::select! {
        ended = all_ended(app, &jobs) => {
            ended?;
            None
        }
        exit = signals.next() => Some(exit),
    };
    tokio::select! {
        // Summaries come after a job's end; on a signal the workers are cancelled here.
        () = async {
            match interrupted {
                Some(_) => app.supervisor.shut_down().await,
                None => app.supervisor.idle().await,
            }
        } => {}
        exit = signals.next() => {
            let _ = tokio::time::timeout(LAST_GRACE, app.supervisor.shut_down()).await;
            drop(progress);
            std::process::exit(exit.code().into());
        }
    }
    Ok(interrupted)
}

async fn all_ended(app: &App, jobs: &[JobId]) -> Result<(), ToolFailure> {
    for id in jobs {
        app.supervisor.wait(*id, FOR_EVER).await?;
    }
    Ok(())
}

/// A worker's result for a program.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    job_id: Option<u64>,
    worker_id: String,
    status: Status,
    duration_ms: Option<u64>,
    duration_us: Option<u64>,
    owner: String,
    task: String,
    summary: Option<String>,
    error: Option<String>,
    events: Option<u64>,
    events_lost: Option<u64>,
    usage: Option<WorkerUsage>,
    result: String,
}

pub(crate) async fn report(
    app: &App,
    tools: &SupervisorTools,
    job: &JobRef,
) -> Result<Report, ToolFailure> {
    // Whether it has ended, and what to say if not, is the tool's to tell.
    tools.read_worker_result(job).await?;
    let metadata = tools.metadata(job).await?;
    let (worker_id, missing) = (metadata.worker_id.clone(), missing_result(&metadata));
    let result = app
        .store()
        .unblock(move |store| {
            let mut result = String::new();
            let file = artifact_store::file_names::RESULT;
            match super::read::whole_file(store, &worker_id, file, 0, |it| result.push_str(it)) {
                Err(StoreError::FileNotFound { .. }) => Ok(missing.to_owned()),
                read => read.map(|()| result),
            }
        })
        .await?;
    Ok(Report::new(metadata, result))
}

impl Report {
    pub(crate) fn new(metadata: Metadata, result: String) -> Self {
        Self {
            job_id: metadata.job_id,
            worker_id: metadata.worker_id.to_string(),
            status: metadata.status,
            duration_ms: metadata.duration_ms,
            duration_us: metadata.duration_us,
            owner: metadata.owner,
            task: metadata.task,
            summary: metadata.summary,
            error: metadata.error,
            events: metadata.events,
            events_lost: metadata.events_lost,
            usage: metadata.usage,
            result,
        }
    }
}
