//! Takes jobs from a queue as `triscope work` does, for tests that kill it at any moment.
//!
//! Each job notes in the file `notes` of the folder that it began and that it ended: `begin 5`, `end 5`. From the one to the
//! other it holds a lock of its own; a job that finds it held notes `twice 5`. The lock goes with the process, as the job does.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use artifact_store::{ArtifactStore, StoreOptions};
use clap::Parser;
use rustix::fs::{FlockOperation, flock};
use supervisor_tools::{Supervisor, WorkOptions};
use worker_runner::{WorkerRunner, agent_fn};

#[derive(Debug, Parser)]
struct Options {
    /// The data directory.
    data_dir: PathBuf,
    /// Where the notes and the locks are.
    folder: PathBuf,
    #[arg(long, default_value_t = 4)]
    concurrency: usize,
    /// End when nothing waits.
    #[arg(long)]
    drain: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Options::parse();
    let store = ArtifactStore::open_with(&options.data_dir, StoreOptions::default());
    let store = store.expect("a store opens");
    let folder = options.folder;
    let agent = agent_fn(move |task: String| {
        let folder = folder.clone();
        async move {
            let done = tokio::task::spawn_blocking(move || hold_and_note(&folder, &task));
            done.await.map_err(io::Error::other).flatten()
        }
    });
    let runner = WorkerRunner::new(store.clone(), std::sync::Arc::new(agent));
    let supervisor = Supervisor::open(store, runner, options.concurrency);
    let supervisor = supervisor.expect("the job book opens");
    let worked = supervisor.work(WorkOptions {
        drain: options.drain,
        ..WorkOptions::default()
    });
    worked.await.expect("the job book can be read");
    ExitCode::SUCCESS
}

fn hold_and_note(folder: &Path, task: &str) -> io::Result<&'static str> {
    let note = |what: &str| {
        let mut notes = append(&folder.join("notes"))?;
        // One write, so that no two notes mix.
        notes.write_all(format!("{what} {task}\n").as_bytes())
    };
    let lock = append(&folder.join(format!("{task}.lock")))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        note("twice")?;
        return Ok("twice");
    }
    note("begin")?;
    // Some time to be killed in; now and then enough for others to take it for dead, if they were wrong.
    let is_long = task.parse().is_ok_and(|it: u64| it.is_multiple_of(8));
    std::thread::sleep(Duration::from_millis(if is_long { 400 } else { 3 }));
    note("end")?;
    Ok("done")
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}
