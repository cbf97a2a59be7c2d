//! Stores to try things with, and a way to run a test in a process of its own.

use std::{
    env,
    ffi::OsStr,
    process::{Command, Output},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use metrics_core::{CallTime, Event, LineContent, ManualClock, Timestamp, ToolCall};
use tempfile::TempDir;

use crate::{ArtifactStore, NewWorker, StoreOptions, WorkerReader, WorkerWriter};

pub(super) const LONG: Duration = Duration::from_mins(1);

/// A store whose clock stands still until moved.
pub(super) struct TestStore {
    pub(super) store: ArtifactStore,
    pub(super) clock: ManualClock,
    /// Last, as the store's threads may still make files in it.
    pub(super) temp: TempDir,
}

impl TestStore {
    pub(super) fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(noon());
        let store = open(temp.path(), &clock);
        Self { store, clock, temp }
    }

    /// A worker for `task`, a millisecond after the one before.
    pub(super) fn worker(&self, task: &str) -> WorkerWriter {
        self.clock.advance(Duration::from_millis(1));
        self.store.create_worker(NewWorker::new(task)).unwrap()
    }

    /// A worker to write and to read.
    pub(super) fn pair(&self) -> (WorkerWriter, WorkerReader) {
        let writer = self.worker("task");
        let reader = self.store.worker(&writer.id()).unwrap();
        (writer, reader)
    }
}

pub(super) fn open(path: &std::path::Path, clock: &ManualClock) -> ArtifactStore {
    ArtifactStore::open_with(
        path,
        StoreOptions {
            clock: clock.clock(),
            ..StoreOptions::default()
        },
    )
    .unwrap()
}

pub(super) fn noon() -> Timestamp {
    "2025-12-15T12:00:00.000000Z".parse().unwrap()
}

pub(super) fn event(tool: &str) -> Event<'_> {
    ToolCall::new(tool, CallTime::new(noon(), Duration::from_millis(98))).into()
}

pub(super) fn n_events(worker: &WorkerReader) -> usize {
    let mut reader = worker.events().unwrap();
    let mut n_events = 0;
    while let Some(line) = reader.next_line().unwrap() {
        assert!(matches!(line.content, LineContent::Event(_)), "{line:?}");
        n_events += 1;
    }
    n_events
}

pub(super) fn mkfifo(path: impl AsRef<OsStr>) {
    let status = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(status.success());
}

/// Says that it is over, also to the threads of a test that failed.
pub(super) struct SetOnDrop<'a>(pub(super) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What a test hands to itself in another process.
const CHILD_ARGUMENT: &str = "ARTIFACT_STORE_TEST_CHILD";

/// The argument, if this is the other process.
pub(super) fn child_argument() -> Option<String> {
    env::var(CHILD_ARGUMENT).ok()
}

/// The command that runs the test `name` of this program again, with `argument`.
pub(super) fn child(name: &str, argument: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD_ARGUMENT, argument);
    command
}

pub(super) fn assert_passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The texts that any input may hold.
pub(super) fn hostile_strings() -> Vec<String> {
    serde_json::from_str(include_str!("../../testdata/hostile-strings.json")).unwrap()
}
