//! `triscope spawn`, `wait` and `cancel`: jobs that other processes run.

use program_agent::Surroundings;
use serde_json::json;
use supervisor_tools::{JobId, JobRef, JobStatus, RunBy, SpawnRequest, ToolFailure};
use worker_runner::DEFAULT_TIMEOUT;

use super::run::FOR_EVER;
use crate::{
    app::App,
    cli::{Job, Spawn, Wait},
    exit::Exit,
    output,
    signals::Signals,
};

pub(crate) async fn spawn(app: &App, arguments: Spawn) -> Result<Exit, ToolFailure> {
    let surroundings = Surroundings::of_process();
    let tools = app.supervisor.tools(Some(&arguments.owner));
    let request = SpawnRequest {
        model: Some(arguments.models.model),
        timeout: arguments.timeout.unwrap_or(DEFAULT_TIMEOUT),
        max_attempts: arguments.max_attempts.get(),
        trace: surroundings.trace,
        parent_worker_id: surroundings.worker_id,
        ..SpawnRequest::new(arguments.task)
    };
    let id = match tools.run_by(RunBy::Takers).spawn(&request).await {
        Ok(id) => id,
        Err(refused @ ToolFailure::Refused(_)) => {
            super::failed(&refused);
            return Ok(Exit::Usage);
        }
        Err(other) => return Err(other),
    };
    let takers = app.supervisor.takers(&arguments.owner).await?;
    if arguments.json {
        output::print_json(&json!({"job_id": id, "takers": takers}));
    } else {
        output::print(&id.to_string());
    }
    say_if_nobody_takes(id, takers);
    Ok(Exit::Done)
}

pub(crate) async fn wait(app: &App, arguments: Wait) -> Result<Exit, ToolFailure> {
    let job = JobRef::parse(&arguments.job.job)?;
    let scope = arguments.job.scope;
    let tools = app.supervisor.tools(scope.owner.as_deref());
    // A worker that has a job is waited for by its number; what is not there is said at once.
    if let Some(queued) = tools.job(&job).await? {
        if queued.status == JobStatus::Queued && queued.is_shared {
            say_if_nobody_takes(queued.id, app.supervisor.takers(&queued.owner).await?);
        }
        let mut signals = Signals::listen();
        let limit = arguments.timeout.unwrap_or(FOR_EVER);
        tokio::select! {
            ended = app.supervisor.wait(queued.id, limit) => drop(ended?),
            exit = signals.next() => return Ok(exit), // The job goes on.
        }
    }
    super::read::result(
        app,
        Job {
            job: arguments.job.job,
            scope,
        },
    )
    .await
}

pub(crate) async fn cancel(app: &App, arguments: Job) -> Result<Exit, ToolFailure> {
    let job = JobRef::parse(&arguments.job)?;
    let tools = app.supervisor.tools(arguments.scope.owner.as_deref());
    let text = tools.cancel_worker(&job).await?;
    if arguments.scope.json {
        output::print_json(&json!({"job": arguments.job, "message": text}));
    } else {
        output::print(&text);
    }
    Ok(Exit::Done)
}

fn say_if_nobody_takes(id: JobId, takers: usize) {
    if takers == 0 {
        output::note(&format!(
            "note: job {id} waits, and nothing takes jobs now; start `triscope work`"
        ));
    }
}
