//! Ends that come while something is still going on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use artifact_store::{ArtifactStore, Status};
use metrics_collector::{record_tool_call, spawn, spawn_blocking, thread_spawn, tool_call};
use metrics_core::{Clock, ToolCall};
use worker_runner::{AgentError, RunOptions, WorkerRunner, agent_fn};

use super::recording::Stored;
use crate::support::{Lab, agent, eventually};

/// Records the `n`th event of a thread, in the form of the program `recorder`.
fn record(thread: u64, n: u64) {
    let clock = Clock::system();
    let name = format!("t{thread}");
    let mut call = ToolCall::new(name.as_str(), clock.finish(&clock.start()));
    call.tool_call_id = Some(n.to_string().into());
    record_tool_call(call);
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        // A second panic at once would end the process, whoever it is.
        assert!(std::thread::panicking(), "a Drop of the agent's");
    }
}

#[tokio::test]
async fn an_agent_that_panics_when_it_is_dropped_ends_as_it_was_about_to() {
    for (ends, expected) in [
        ("by itself", Status::Failed),
        ("by its limit", Status::Timeout),
    ] {
        let lab = Lab::with_agent(agent(move |_, _| async move {
            let _dropped = PanicsWhenDropped;
            record(0, 0);
            if ends == "by its limit" {
                let hang = async { std::future::pending::<Result<(), AgentError>>().await };
                tool_call("hang", hang).await?;
            }
            Ok(())
        }));
        let options = RunOptions {
            timeout: Duration::from_millis(50),
            ..RunOptions::default()
        };
        let report = lab.runner().run_worker("x", options).await.unwrap();
        assert_eq!(report.status, expected, "{report:?}");
        assert_eq!(report.events_lost, 0);
        let error = report.error.unwrap();
        if expected == Status::Failed {
            assert!(error.contains("a Drop of the agent's"), "{error}");
        }
        let file = lab.metrics(&report.worker_id);
        let n_events = if expected == Status::Timeout { 2 } else { 1 };
        assert_eq!(file.events.len(), n_events, "{}", file.text);
        // The next one is none the worse.
        assert_eq!(
            lab.runner()
                .run_worker(
                    "x",
                    RunOptions {
                        timeout: Duration::from_millis(50),
                        ..RunOptions::default()
                    }
                )
                .await
                .unwrap()
                .status,
            expected
        );
    }
}

/// What a thread records once its worker has ended is in the file or counted, and never in another worker's.
#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_goes_on_recording_while_its_worker_ends_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(folder.path()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let recorded = Arc::new(AtomicU64::new(0));
    let shared = (Arc::clone(&stop), Arc::clone(&recorded));
    let restless = agent_fn(move |_| {
        let (stop, recorded) = shared.clone();
        async move {
            let mine = Arc::clone(&recorded);
            thread_spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    record(0, n);
                    mine.store(n + 1, Ordering::Release);
                }
            });
            // It is well under way when the worker ends.
            eventually("a hundred events", || {
                (recorded.load(Ordering::Acquire) > 100).then_some(())
            });
            Ok::<_, String>("done")
        }
    });
    let runner = WorkerRunner::new(store.clone(), Arc::new(restless));
    let report = runner.run_worker("x", RunOptions::default()).await.unwrap();
    assert_eq!((report.status, &*report.result), (Status::Success, "done"));
    let quiet = agent_fn(async |_| {
        record(7, 0);
        Ok::<_, String>("quiet")
    });
    let other = WorkerRunner::new(store.clone(), Arc::new(quiet));
    let other = other.run_worker("y", RunOptions::default()).await.unwrap();
    stop.store(true, Ordering::Relaxed);

    let dir = |id: &metrics_core::WorkerId| folder.path().join(id.as_str());
    let metadata = store.worker(&report.worker_id).unwrap().metadata().unwrap();
    let (events, lost) = (metadata.events.unwrap(), metadata.events_lost.unwrap());
    assert_eq!(lost, 0);
    let stored = eventually("whole lines", || {
        let stored = Stored::read(&dir(&report.worker_id));
        stored.torn.is_empty().then_some(stored)
    });
    stored.assert_gap_free();
    assert!(stored.len() >= events, "{} of {events}", stored.len());
    let quiet = Stored::read(&dir(&other.worker_id));
    assert_eq!((quiet.len(), quiet.threads.contains_key(&7)), (1, true));
}

#[test]
fn a_runtime_shut_down_in_mid_record_leaves_whole_files_and_cancelled_workers() {
    const WORKERS: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open(folder.path()).unwrap();
    let recorded = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..WORKERS {
        let shared = (Arc::clone(&recorded), Arc::clone(&stop));
        let busy = agent_fn(move |_| {
            let (recorded, stop) = shared.clone();
            async move {
                let note = move |thread, n| {
                    record(thread, n);
                    recorded.fetch_add(1, Ordering::Relaxed);
                };
                let in_task = note.clone();
                let task = spawn(async move {
                    for n in 0.. {
                        in_task(1, n);
                        tokio::task::yield_now().await;
                    }
                });
                // Blocking work that the runtime cannot end.
                let blocking = spawn_blocking(move || {
                    for n in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        note(2, n);
                    }
                });
                task.await
                    .and(blocking.await)
                    .map(|()| "never")
                    .map_err(|it| it.to_string())
            }
        });
        let runner = WorkerRunner::new(store.clone(), Arc::new(busy));
        runtime.spawn(async move { runner.run_worker("x", RunOptions::default()).await });
    }
    eventually("many events", || {
        (recorded.load(Ordering::Relaxed) > 20_000).then_some(())
    });
    runtime.shutdown_background();
    let workers = eventually("the workers' ends", || {
        let list = store
            .list(&artifact_store::WorkerFilter::default())
            .unwrap();
        let ended = list
            .workers
            .iter()
            .filter(|it| it.status.is_final())
            .count();
        (ended == WORKERS).then_some(list.workers)
    });
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        assert_eq!(worker.status, Status::Cancelled);
        let (events, lost) = (worker.events.unwrap(), worker.events_lost.unwrap());
        let stored = eventually("whole lines", || {
            let stored = Stored::read(&folder.path().join(worker.worker_id.as_str()));
            stored.torn.is_empty().then_some(stored)
        });
        stored.assert_in_order();
        assert!(
            stored.len() >= events - lost,
            "{} of {events}, {lost} lost",
            stored.len()
        );
        if lost == 0 {
            stored.assert_gap_free();
        }
    }
}
