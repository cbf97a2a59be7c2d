//! `triscope work`: takes jobs from the queue that several processes share.

use std::{num::NonZeroUsize, time::Duration};

use supervisor_tools::{JobStatus, ToolFailure, WorkEvent, WorkOptions, WorkerRow, one_line};
use tokio::{sync::mpsc, time::Instant};
use worker_runner::CancellationToken;

use super::run::LAST_GRACE;
use crate::{app::App, cli::Work, exit::Exit, output, signals::Signals};

/// How far the end has come, a step a signal.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Working,
    /// No more jobs are taken; those that run have until then.
    Finishing(Instant),
    /// Workers are cancelled.
    Cancelling,
}

pub(crate) async fn work(app: &App, arguments: Work) -> Result<Exit, ToolFailure> {
    let mut signals = Signals::listen();
    let (events, mut happened) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let work = app.supervisor.work(WorkOptions {
        owner: arguments.owner,
        drain: arguments.drain,
        stop: stop.clone(),
        events: Some(events),
    });
    tokio::pin!(work);
    let concurrency = arguments.concurrency;
    let (mut stage, mut exit, mut prints) = (Stage::Working, Exit::Done, true);
    loop {
        let ended = tokio::select! {
            biased;
            Some(event) = happened.recv() => {
                if let Err(failed) = show(&event, concurrency, prints) {
                    // Whoever started it reads no more; what runs may go on to its end.
                    (prints, exit) = (false, failed);
                    stage = finish(&stop, arguments.grace);
                }
                None
            }
            ended = &mut work => Some(ended),
            signal = signals.next() => {
                stage = match stage {
                    Stage::Working => {
                        exit = signal;
                        output::note("note: no more jobs are taken; a second signal cancels those that run");
                        finish(&stop, arguments.grace)
                    }
                    Stage::Finishing(_) => cancel(app),
                    Stage::Cancelling => {
                        let _ = tokio::time::timeout(LAST_GRACE, &mut work).await;
                        std::process::exit(signal.code().into());
                    }
                };
                None
            }
            () = at_the_end_of(stage) => {
                stage = cancel(app);
                None
            }
        };
        if let Some(ended) = ended {
            while let Ok(event) = happened.try_recv() {
                prints = prints && show(&event, concurrency, prints).is_ok();
            }
            ended?;
            return Ok(exit);
        }
    }
}

/// Lets what runs go on for the grace.
fn finish(stop: &CancellationToken, grace: Duration) -> Stage {
    stop.cancel();
    Stage::Finishing(Instant::now() + grace)
}

fn cancel(app: &App) -> Stage {
    let supervisor = app.supervisor.clone();
    tokio::spawn(async move { supervisor.shut_down().await });
    Stage::Cancelling
}

async fn at_the_end_of(stage: Stage) {
    match stage {
        Stage::Finishing(end) => tokio::time::sleep_until(end).await,
        _ => std::future::pending().await,
    }
}

/// A line for what happened.
fn show(event: &WorkEvent, concurrency: NonZeroUsize, prints: bool) -> Result<(), Exit> {
    let line = match event {
        _ if !prints => return Ok(()),
        WorkEvent::Ready => format!("Taking jobs, up to {concurrency} at once."),
        WorkEvent::Over(job) if job.status == JobStatus::Queued => {
            format!("job {}: back in the queue", job.id)
        }
        WorkEvent::Taken(job) | WorkEvent::Over(job) => WorkerRow::from((**job).clone()).line(),
        WorkEvent::Fault(fault) => {
            output::note(&format!("error: cannot take jobs: {}", one_line(fault)));
            return Ok(());
        }
        _ => return Ok(()),
    };
    output::try_print(&line)
}
