//! A program without an async runtime that keeps what its workers did, and reads it again.

use std::time::Duration;

use artifact_store::{ArtifactStore, NewWorker, SearchOptions, Status, WorkerFilter};
use metrics_core::{CallTime, Clock, ToolCall};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args()
        .nth(1)
        .ok_or("give a path for the workers")?;
    let store = ArtifactStore::open(path)?;

    // As the README shows: one process runs the worker ...
    let worker = store.create_worker(NewWorker::new("back up the database"))?;
    let time = CallTime::new(Clock::system().timestamp(), Duration::from_millis(98));
    let call = ToolCall::new("ssh_exec", time);
    worker.sink().record(&worker.id(), &call.into());
    worker.write_result("Done.")?;
    let (events, _why_lost) = worker.finish_metrics(Duration::from_secs(30));
    worker.update(|it| {
        it.status = Status::Success;
        it.events = Some(events.recorded);
        it.events_lost = Some(events.lost);
    })?;

    // ... and any other reads.
    let filter = WorkerFilter {
        limit: Some(20),
        ..WorkerFilter::default()
    };
    let workers = store.list(&filter)?.workers;
    assert_eq!((workers.len(), workers[0].status), (1, Status::Success));
    let reader = store.worker(&workers[0].worker_id)?;
    let part = reader.read_file("metrics.jsonl", 0, artifact_store::MAX_READ_BYTES)?;
    assert!(part.text.contains(r#""tool":"ssh_exec""#) && !part.is_cut());
    assert!(reader.read_file("../escape", 0, 100).is_err());
    let found = store.search("DONE", &SearchOptions::default())?;
    println!(
        "{} event, {} match in {}",
        part.text.lines().count(),
        found.matches.len(),
        found.matches[0].file
    );
    Ok(())
}
