//! Very many workers at once in one process, each recording in nested tasks; prints what became of the memory.

#![expect(clippy::print_stdout, reason = "what a program prints is its answer")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use artifact_store::{ArtifactStore, NewWorker};
use clap::Parser;
use metrics_collector::{MetricsCollector, record_tool_call, spawn};
use metrics_core::{Clock, ToolCall};
use serde_json::json;
use tokio::sync::Barrier;

#[path = "crowd/live_bytes.rs"]
mod live_bytes;

#[derive(Debug, Parser)]
struct Options {
    /// The data directory.
    data_dir: PathBuf,
    /// Workers at once.
    #[arg(long)]
    workers: usize,
    /// So many times, one crowd after the other.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
}

type Answer<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Answer<()> {
    let options = Options::parse();
    let store = ArtifactStore::open(&options.data_dir)?;
    // What is made once stands before the first look.
    crowd(&store, 10).await?;
    let before = live_bytes::now();
    for _ in 0..options.rounds {
        crowd(&store, options.workers).await?;
    }
    println!(
        "{}",
        json!({"before": before, "after": live_bytes::now(), "most": live_bytes::most()})
    );
    Ok(())
}

/// Runs a crowd from the first one's start to the last one's end: all of them are there at the same time.
async fn crowd(store: &ArtifactStore, workers: usize) -> Answer<()> {
    let all_there = Arc::new(Barrier::new(workers));
    let tasks: Vec<_> = (0..workers)
        .map(|_| tokio::spawn(worker(store.clone(), Arc::clone(&all_there))))
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(())
}

async fn worker(store: ArtifactStore, all_there: Arc<Barrier>) -> Answer<()> {
    let writer = store
        .unblock(|it| it.create_worker(NewWorker::new("crowd")))
        .await?;
    let collector = MetricsCollector::new(writer.id(), writer.sink());
    let id = writer.id();
    let record_all = async move {
        note(&id, "begin");
        all_there.wait().await;
        let nested = spawn(async move {
            note(&id, "task");
            let innermost = spawn(async move {
                tokio::task::yield_now().await;
                note(&id, "task in a task");
                id
            });
            innermost.await
        });
        let id = nested.await??;
        note(&id, "end");
        Ok::<_, tokio::task::JoinError>(())
    };
    collector.scope(record_all).await?;
    let (counts, reason) =
        tokio::task::spawn_blocking(move || writer.finish_metrics(Duration::from_mins(1))).await?;
    if counts.recorded != 4 || counts.lost > 0 {
        return Err(format!("{counts:?}: {reason:?}").into());
    }
    Ok(())
}

/// Records one event that says whose it is.
fn note(worker: &metrics_core::WorkerId, tool: &str) {
    let clock = Clock::system();
    let mut call = ToolCall::new(tool, clock.finish(&clock.start()));
    call.tool_call_id = Some(worker.as_str().into());
    record_tool_call(call);
}
