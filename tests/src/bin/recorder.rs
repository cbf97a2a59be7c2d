//! Records numbered events as fast as it can, as workers of a real store, for tests that take the machine away from it.
//!
//! Each thread of each worker numbers its events from 0: thread 2's fifth is the tool call `t2` with the id `4`. It prints
//! `ready`, `stage 1` and so on before it waits, and at the end an object a worker.

#![expect(clippy::print_stdout, reason = "what a program prints is its answer")]

use std::{
    fs::File, io, os::unix::fs::FileExt as _, path::PathBuf, process::ExitCode, sync::Arc,
    time::Duration,
};

use artifact_store::{ArtifactStore, RecordMode, StoreOptions};
use clap::Parser;
use metrics_collector::MetricsCollector;
use metrics_core::{Clock, ToolCall};
use serde_json::json;
use tokio::sync::Barrier;
use worker_runner::{RunOptions, WorkerReport, WorkerRunner, agent_fn};

/// How long one flush may take.
const PATIENCE: Duration = Duration::from_millis(200);

#[derive(Debug, Parser)]
struct Options {
    /// The data directory.
    data_dir: PathBuf,
    /// When an event counts as recorded: buffered, write-through or fsync.
    #[arg(long, default_value_t)]
    mode: RecordMode,
    /// Workers that record at once.
    #[arg(long, default_value_t = 1)]
    workers: u64,
    /// Threads of each that record at once.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Events of each thread in each stage; for ever unless given.
    #[arg(long)]
    events: Option<u64>,
    /// So many times it records its events; before each but the first it waits until the file `<WAIT>/<stage>` is there.
    #[arg(long, default_value_t = 1)]
    stages: u64,
    #[arg(long, default_value = ".")]
    wait: PathBuf,
    /// A folder in which to note, after the acknowledgement, how many events are acknowledged: a file a worker, 8 bytes a
    /// thread.
    #[arg(long)]
    acknowledged: Option<PathBuf>,
    /// In the mode `buffered`: how many events to record between two flushes.
    #[arg(long, default_value_t = 64)]
    flush_every: u64,
    /// Tier 3.
    #[arg(long)]
    log: Option<PathBuf>,
    /// How many milliseconds the end waits for events that the disk has not taken.
    #[arg(long, default_value_t = 2000)]
    flush_timeout: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Box<dyn std::error::Error>> {
    let store = ArtifactStore::open_with(
        &options.data_dir,
        StoreOptions {
            recording: options.mode,
            ..StoreOptions::default()
        },
    )?;
    let log = options.log.as_ref().map(log_format::to_file);
    let log = log.map(|it| it.worker_id(metrics_collector::current_worker_id).install());
    let log = log.transpose()?;
    let shared = Arc::new(Shared::new(options)?);
    let runner = WorkerRunner::new(
        store,
        Arc::new(agent_fn({
            let shared = Arc::clone(&shared);
            move |_task| Arc::clone(&shared).work()
        })),
    );
    let flush_timeout = Duration::from_millis(shared.options.flush_timeout);
    let workers: Vec<_> = (0..shared.options.workers)
        .map(|_| {
            let runner = runner.clone();
            tokio::spawn(async move {
                let options = RunOptions {
                    flush_timeout,
                    ..RunOptions::default()
                };
                runner.run_worker("record", options).await
            })
        })
        .collect();
    let mut reports = Vec::new();
    for worker in workers {
        reports.push(worker.await??);
    }
    if let Some(log) = log {
        // What the log could not take it says itself.
        let _ = log.flush(Duration::from_secs(2));
    }
    for report in reports {
        println!("{}", summary(&report));
    }
    Ok(())
}

fn summary(report: &WorkerReport) -> serde_json::Value {
    json!({
        "worker_id": report.worker_id,
        "status": report.status,
        "result": report.result,
        "events": report.totals.events(),
        "events_lost": report.events_lost,
        "problems": report.problems,
    })
}

/// What all threads of all workers work with.
struct Shared {
    options: Options,
    /// All threads begin each stage together.
    stage: Barrier,
}

impl Shared {
    fn new(options: Options) -> io::Result<Self> {
        let threads = usize::try_from(options.workers * options.threads);
        Ok(Self {
            stage: Barrier::new(threads.map_err(io::Error::other)?),
            options,
        })
    }

    /// The agent: all threads of one worker.
    async fn work(self: Arc<Self>) -> io::Result<&'static str> {
        let acknowledged = Arc::new(self.acknowledgements()?);
        let threads: Vec<_> = (0..self.options.threads)
            .map(|thread| {
                let (shared, acknowledged) = (Arc::clone(&self), Arc::clone(&acknowledged));
                metrics_collector::spawn(shared.all_stages(thread, acknowledged))
            })
            .collect();
        for thread in threads {
            thread.await??;
        }
        Ok("done")
    }

    fn acknowledgements(&self) -> io::Result<Option<File>> {
        let (Some(folder), Some(worker)) = (
            &self.options.acknowledged,
            metrics_collector::current_worker_id(),
        ) else {
            return Ok(None);
        };
        File::create(folder.join(worker.as_str())).map(Some)
    }

    async fn all_stages(
        self: Arc<Self>,
        thread: u64,
        acknowledged: Arc<Option<File>>,
    ) -> io::Result<()> {
        for stage in 0..self.options.stages {
            self.begin(stage).await?;
            let (shared, acknowledged) = (Arc::clone(&self), Arc::clone(&acknowledged));
            let recorded = metrics_collector::spawn_blocking(move || {
                shared.record(stage, thread, acknowledged.as_ref().as_ref())
            });
            recorded.await??;
        }
        Ok(())
    }

    async fn begin(&self, stage: u64) -> io::Result<()> {
        if self.stage.wait().await.is_leader() {
            match stage {
                0 => println!("ready"),
                _ => println!("stage {stage}"),
            }
        }
        while stage > 0 && !self.options.wait.join(stage.to_string()).try_exists()? {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    /// One thread's events of one stage.
    fn record(&self, stage: u64, thread: u64, acknowledged: Option<&File>) -> io::Result<()> {
        let collector = MetricsCollector::current().ok_or_else(|| io::Error::other("no scope"))?;
        let clock = Clock::system();
        let tool = format!("t{thread}");
        let each = self.options.events.unwrap_or(u64::MAX);
        let mut flushes = true;
        for n in (stage * each)..(stage + 1).saturating_mul(each) {
            let mut event = ToolCall::new(tool.as_str(), clock.finish(&clock.start()));
            event.tool_call_id = Some(n.to_string().into());
            collector.record(event);
            let is_acknowledged = if self.options.mode == RecordMode::Buffered {
                if flushes && (n + 1) % self.options.flush_every == 0 {
                    // A disk that takes nothing is not waited for again and again.
                    flushes = collector.flush_wait(PATIENCE).is_ok();
                    flushes
                } else {
                    false
                }
            } else {
                true
            };
            if is_acknowledged && let Some(file) = acknowledged {
                file.write_all_at(&(n + 1).to_le_bytes(), thread * 8)?;
            }
        }
        Ok(())
    }
}
