//! `triscope ask`: a supervisor of our own, from a goal to an answer, with workers that it spawns.

use std::{convert::Infallible, time::Duration};

use program_agent::Surroundings;
use supervisor_tools::{JobId, SpawnRequest, SupervisorError, ToolFailure};

use super::run;
use crate::{app::App, cli::Ask, exit::Exit, output, signals::Signals};

/// How long a supervisor may take unless told otherwise: longer than its workers, or it could not tell of their ends.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);
/// What one answer of a tool may put of a file or a result into the supervisor's context; it can read on.
const READ_BYTES: usize = 16 << 10;

pub(crate) async fn ask(app: &App, arguments: Ask) -> Result<Exit, ToolFailure> {
    let signals = Signals::listen();
    let tools = app.supervisor.tools(Some(&arguments.owner));
    let model = arguments.models.model;
    let supervisor = app.models.supervisor(
        &model,
        &tools.clone().read_bytes(READ_BYTES),
        app.store().clone(),
        app.redactor.clone(),
    );
    let supervisor = supervisor.map_err(SupervisorError::from)?;
    let surroundings = Surroundings::of_process();
    let request = SpawnRequest {
        model: Some(model),
        timeout: arguments.timeout.unwrap_or(DEFAULT_TIMEOUT),
        trace: surroundings.trace,
        parent_worker_id: surroundings.worker_id,
        ..SpawnRequest::new(arguments.goal)
    };
    let id = match run::begun(tools.spawn_with(&request, supervisor).await)? {
        Ok(id) => id,
        Err(exit) => return Ok(exit),
    };
    let exit = tokio::select! {
        exit = run::to_its_end(app, &tools, id, arguments.json, signals) => exit?,
        failed = cancel_left_over(app, id) => match failed? {},
    };
    if exit != Exit::Done {
        output::note(&format!(
            "hint: what its workers found is kept; `triscope trace {id}` lists them"
        ));
    }
    Ok(exit)
}

/// Once the supervisor has ended nobody waits for its workers: they are cancelled, those too that are only just being
/// added.
async fn cancel_left_over(app: &App, supervisor: JobId) -> Result<Infallible, SupervisorError> {
    const LOOK_AGAIN: Duration = Duration::from_millis(100);
    app.supervisor.wait(supervisor, run::FOR_EVER).await?;
    loop {
        app.supervisor.cancel_all_but(supervisor).await;
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
