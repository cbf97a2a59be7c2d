//! `activity.json`: what a worker has in flight, for whoever finds it dead.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use artifact_store::{ArtifactStore, Status, StoreOptions};
use metrics_collector::{MetricsCollector, start_llm_call, start_tool_call};
use metrics_core::{ManualClock, SpanId};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::support::agent;
use crate::{RunOptions, WorkerEvent, WorkerReport, WorkerRunner};

/// A worker whose calls a test starts and ends; its clock stands still until moved.
struct Puppet {
    dir: PathBuf,
    collector: MetricsCollector,
    end: oneshot::Sender<()>,
    run: JoinHandle<WorkerReport>,
}

struct Stage {
    store: ArtifactStore,
    clock: ManualClock,
    _dir: TempDir,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at("2025-12-15T12:00:00Z".parse().unwrap());
        let options = StoreOptions {
            clock: clock.clock(),
            ..StoreOptions::default()
        };
        Self {
            store: ArtifactStore::open_with(dir.path(), options).unwrap(),
            clock,
            _dir: dir,
        }
    }

    async fn puppet(&self, options: RunOptions) -> Puppet {
        let (end, ended) = oneshot::channel::<()>();
        let ended = std::sync::Mutex::new(Some(ended));
        let runner = WorkerRunner::new(
            self.store.clone(),
            Arc::new(agent(move |_, _| {
                let ended = ended.lock().unwrap().take().unwrap();
                async move {
                    let _ = ended.await;
                    Ok(())
                }
            })),
        );
        let (events, mut heard) = mpsc::unbounded_channel();
        let options = RunOptions {
            events: Some(events),
            ..options
        };
        let run = tokio::spawn(async move { runner.run_worker("task", options).await.unwrap() });
        let Some(WorkerEvent::Started {
            worker_id,
            collector,
        }) = heard.recv().await
        else {
            panic!("the worker did not start");
        };
        Puppet {
            dir: self.store.data_dir().join(worker_id.as_str()),
            collector,
            end,
            run,
        }
    }

    fn pass_ms(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }
}

impl Puppet {
    fn activity(&self) -> Option<Value> {
        let json = fs::read(self.dir.join("activity.json")).ok()?;
        Some(serde_json::from_slice(&json).expect("a reader finds a whole file"))
    }

    async fn wait_for(&self, calls: Option<Value>) {
        let expected = calls.map(|it| json!({"calls": it}));
        eventually("the activity", || self.activity() == expected).await;
    }

    async fn end(self) -> WorkerReport {
        let _ = self.end.send(());
        self.run.await.unwrap()
    }
}

async fn eventually(what: &str, mut ask: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ask() {
        assert!(start.elapsed() < Duration::from_mins(1), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn calls_in_flight_for_a_while_are_written_down_until_they_end() {
    let stage = Stage::new();
    let puppet = stage.puppet(RunOptions::default()).await;
    let llm = puppet
        .collector
        .scope_sync(|| start_llm_call("gpt-5-mini", "initial"));
    stage.pass_ms(10);
    let tool = puppet.collector.scope_sync(|| start_tool_call("ssh_exec"));
    stage.pass_ms(50);
    let at = |ms: u32| format!("2025-12-15T12:00:00.{ms:03}000Z");
    let llm_call =
        json!({"kind": "llm_call", "model": "gpt-5-mini", "phase": "initial", "start_ts": at(0)});
    let tool_call = json!({"kind": "tool_call", "tool": "ssh_exec", "start_ts": at(10)});
    puppet.wait_for(Some(json!([llm_call, tool_call]))).await;

    llm.succeed();
    puppet.wait_for(Some(json!([tool_call]))).await;
    puppet
        .collector
        .scope_sync(|| start_tool_call("fast").succeed());
    tool.succeed();
    puppet.wait_for(None).await;
    assert_eq!(puppet.end().await.status, Status::Success);
}

#[tokio::test]
async fn a_span_that_a_child_was_told_of_is_written_too() {
    let stage = Stage::new();
    let puppet = stage.puppet(RunOptions::default()).await;
    let (told, mut heard) = mpsc::unbounded_channel();
    let (end, ended) = oneshot::channel::<()>();
    let call = metrics_collector::tool_call("spawn_worker", async move {
        told.send(MetricsCollector::child_trace().parent_span_id)
            .unwrap();
        ended.await
    });
    let call = tokio::spawn(puppet.collector.scope(call));
    let span: Option<SpanId> = heard.recv().await.unwrap();
    stage.pass_ms(60);
    let expected = json!([{"kind": "tool_call", "tool": "spawn_worker",
        "start_ts": "2025-12-15T12:00:00.000000Z", "span_id": span.unwrap()}]);
    puppet.wait_for(Some(expected)).await;
    end.send(()).unwrap();
    call.await.unwrap().unwrap();
    puppet.end().await;
}

#[tokio::test]
async fn a_fast_call_never_touches_the_file() {
    let stage = Stage::new();
    let fast = stage.puppet(RunOptions::default()).await;
    let slow = stage.puppet(RunOptions::default()).await;
    let old = slow.collector.scope_sync(|| start_tool_call("old"));
    stage.pass_ms(1);
    let young = fast.collector.scope_sync(|| start_tool_call("young"));
    stage.pass_ms(49);
    // Looked at in the order of their starts, so once the second has its file, the first has been looked at.
    eventually("the activity", || slow.activity().is_some()).await;
    assert_eq!(fast.activity(), None);
    young.succeed();
    old.succeed();
    fast.end().await;
    slow.end().await;
}

#[tokio::test]
async fn the_end_of_a_worker_removes_the_file_before_it_is_told() {
    let stage = Stage::new();
    let options = RunOptions::default();
    let cancel = options.cancel.clone();
    let puppet = stage.puppet(options).await;
    let _timer = puppet.collector.scope_sync(|| start_tool_call("endless"));
    stage.pass_ms(60);
    eventually("the activity", || puppet.activity().is_some()).await;
    cancel.cancel();
    let dir = puppet.dir.clone();
    let report = puppet.run.await.unwrap();
    assert_eq!(report.status, Status::Cancelled);
    assert!(!dir.join("activity.json").exists());
    let metrics = fs::read_to_string(dir.join("metrics.jsonl")).unwrap();
    assert!(metrics.contains(r#""tool":"endless""#) && metrics.contains("cancelled"));
}

#[tokio::test]
async fn a_worker_whose_activity_cannot_be_written_is_none_the_worse() {
    let stage = Stage::new();
    let puppet = stage.puppet(RunOptions::default()).await;
    let beside = stage.puppet(RunOptions::default()).await;
    fs::create_dir(puppet.dir.join("activity.json")).unwrap();
    let timers = [&puppet, &beside].map(|it| it.collector.scope_sync(|| start_tool_call("t")));
    stage.pass_ms(60);
    eventually("the activity", || beside.activity().is_some()).await;
    // It is tried again.
    fs::remove_dir(puppet.dir.join("activity.json")).unwrap();
    eventually("the activity", || puppet.activity().is_some()).await;
    for timer in timers {
        timer.succeed();
    }
    for it in [puppet, beside] {
        let report = it.end().await;
        assert_eq!(report.status, Status::Success);
        assert_eq!(report.problems, [""; 0]);
    }
}

#[tokio::test]
async fn a_worker_that_ended_leaves_nothing_behind_in_memory() {
    let stage = Stage::new();
    let puppet = stage.puppet(RunOptions::default()).await;
    let run = stage.store.own_dir().join("run");
    let locks = || fs::read_dir(&run).unwrap().count();
    assert_eq!(locks(), 1);
    puppet.end().await;
    let Stage { store, _dir, .. } = stage;
    drop(store);
    // Nothing that watches holds the run, and with it the process's lock.
    eventually("the end of the run", || locks() == 0).await;
}

#[tokio::test]
async fn a_long_call_keeps_the_files_time_young() {
    let stage = Stage::new();
    let puppet = stage.puppet(RunOptions::default()).await;
    let timer = puppet.collector.scope_sync(|| start_tool_call("long"));
    stage.pass_ms(60);
    eventually("the activity", || puppet.activity().is_some()).await;
    let path = puppet.dir.join("activity.json");
    let file = fs::File::open(&path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let modified = || fs::metadata(&path).unwrap().modified().unwrap();
    eventually("a touch", || modified() > std::time::UNIX_EPOCH).await;
    // The same file: its content has not changed.
    let now = fs::File::open(&path).unwrap().metadata().unwrap();
    assert_eq!(file.metadata().unwrap().ino(), now.ino());
    // One that somebody removed is written again.
    fs::remove_file(&path).unwrap();
    eventually("the activity", || puppet.activity().is_some()).await;
    timer.succeed();
    puppet.end().await;
    assert!(!path.exists());
}
