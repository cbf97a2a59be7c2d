//! `triscope exec`: any command as a worker.

use std::{io::IsTerminal as _, sync::Arc};

use artifact_store::{MAX_READ_BYTES, Status, file_names};
use program_agent::{DEFAULT_TERM_GRACE, PROGRAM, ProgramAgent, ProgramOptions, Surroundings};
use serde::Serialize;
use serde_json::Value;
use supervisor_tools::{JobRef, SupervisorTools, ToolFailure};
use worker_runner::{
    CancellationToken, DEFAULT_TIMEOUT, RunOptions, WARNINGS, WorkerReport, WorkerRunner,
};

use super::run::{LAST_GRACE, Report};
use crate::{app::App, cli::Exec, exit::Exit, output, signals::Signals};

pub(crate) async fn exec(app: &App, arguments: Exec) -> Result<Exit, ToolFailure> {
    if arguments.stdin && std::io::stdin().is_terminal() {
        // In a process group of its own the command would be stopped as soon as it reads.
        output::note("error: `--stdin` passes on a pipe or a file, and this is a terminal");
        return Ok(Exit::Usage);
    }
    let kill = CancellationToken::new();
    let options = ProgramOptions {
        format: arguments.format,
        pass_stdin: arguments.stdin,
        term_grace: arguments.grace.unwrap_or(DEFAULT_TERM_GRACE),
        kill: kill.clone(),
        ..ProgramOptions::default()
    };
    let agent = match ProgramAgent::new(arguments.command, options) {
        Ok(agent) => agent,
        Err(error) => return Ok(output::fail(Exit::Usage, &error.into())),
    };
    let task = arguments.task.filter(|it| !it.trim().is_empty());
    let task = task.unwrap_or_else(|| agent.command_line());
    let surroundings = Surroundings::of_process();
    let options = RunOptions {
        timeout: arguments.timeout.unwrap_or(DEFAULT_TIMEOUT),
        owner: arguments.owner.clone(),
        config: agent.config(),
        trace: surroundings.trace,
        parent_worker_id: surroundings.worker_id,
        ..RunOptions::default()
    };
    let runner = WorkerRunner::new(app.store().clone(), Arc::new(agent))
        .redactor(app.redactor.clone())
        .prices(app.models.prices.clone());
    let (report, interrupted) = run(&runner, &task, options, &kill).await?;
    let tools = app.supervisor.tools(Some(&arguments.owner));
    let job = JobRef::Worker(report.worker_id.clone());
    if arguments.json {
        output::print_json(&json_report(app, &tools, &job, report.result).await?);
    } else {
        output::print(&tools.read_worker_result(&job).await?);
    }
    Ok(match interrupted {
        Some(exit) => exit,
        None if report.status == Status::Success => Exit::Done,
        None => Exit::JobFailed,
    })
}

/// Runs the worker to its end. A signal stops it and is told; a second one kills the command, and ends the program.
async fn run(
    runner: &WorkerRunner,
    task: &str,
    options: RunOptions,
    kill: &CancellationToken,
) -> Result<(WorkerReport, Option<Exit>), ToolFailure> {
    let mut signals = Signals::listen();
    let cancel = options.cancel.clone();
    let run = runner.run_worker(task, options);
    tokio::pin!(run);
    let interrupted = tokio::select! {
        report = &mut run => return Ok((report?, None)),
        exit = signals.next() => exit,
    };
    cancel.cancel();
    tokio::select! {
        report = &mut run => Ok((report?, Some(interrupted))),
        exit = signals.next() => {
            kill.cancel();
            let _ = tokio::time::timeout(LAST_GRACE, run).await;
            std::process::exit(exit.code().into());
        }
    }
}

/// A command's result for a program; the beginning of it, as it may be of any size.
#[derive(Debug, Serialize)]
struct ExecReport {
    #[serde(flatten)]
    report: Report,
    result_bytes: u64,
    warnings: Value,
    /// How the command ended and what became of its output.
    program: Value,
}

async fn json_report(
    app: &App,
    tools: &SupervisorTools,
    job: &JobRef,
    result: String,
) -> Result<ExecReport, ToolFailure> {
    let mut metadata = tools.metadata(job).await?;
    let worker_id = metadata.worker_id.clone();
    let read = app.store().unblock(move |store| {
        let worker = store.worker(&worker_id)?;
        worker.read_file(file_names::RESULT, 0, MAX_READ_BYTES)
    });
    let result_bytes = read.await.map_or(result.len() as u64, |it| it.total_bytes);
    let mut fact = |key| metadata.extra.remove(key).unwrap_or(Value::Null);
    Ok(ExecReport {
        warnings: fact(WARNINGS),
        program: fact(PROGRAM),
        report: Report::new(metadata, result),
        result_bytes,
    })
}
