//! The queue: what a job costs from its spawning to its end, and whether a long line makes claiming slower.

use std::{convert::Infallible, env, path::Path, sync::Arc};

use artifact_store::ArtifactStore;
use rusqlite::Connection;
use supervisor_tools::{
    DEFAULT_CONCURRENCY, FinalStatus, JobBook, NewJob, RunBy, RunId, Supervisor, WorkOptions,
};
use tokio::runtime::Runtime;
use worker_runner::{WorkerRunner, agent_fn};

use crate::rounds::{Variant, compare};

/// Jobs a round.
const JOBS: usize = 50;
const MANY: usize = 10_000;

pub(crate) fn run() {
    // On a disk, as commits wait for it: where the program was built.
    let program = env::current_exe().expect("the program's path");
    let target = program.ancestors().nth(2).expect("the target directory");
    let temp = tempfile::tempdir_in(target).expect("a temporary directory");
    per_job(temp.path());
    by_length(temp.path());
}

fn per_job(dir: &Path) {
    const PEER: &str = "yaque: send, receive, commit (no disk waits)";
    let runtime = Runtime::new().expect("a runtime");
    let store = ArtifactStore::open(dir.join("workers")).expect("a store");
    let agent = agent_fn(|_| async { Ok::<_, Infallible>("") });
    let runner = WorkerRunner::new(store.clone(), Arc::new(agent));
    let supervisor = Supervisor::open(store, runner, DEFAULT_CONCURRENCY).expect("a supervisor");
    let book = book(&dir.join("book.sqlite"));
    let bare = bare(&dir.join("bare.sqlite"));
    let (mut sender, mut receiver) = yaque::channel(dir.join("yaque")).expect("a queue");
    let job = NewJob::new("local", "calculate 7*6");
    compare(
        "a job of the queue, from its spawning to its end, ns (1e9 / ns = jobs a second)",
        "the book within 1.2x of three bare commits",
        Some(PEER),
        vec![
            Variant::new(PEER, JOBS, || {
                runtime.block_on(async {
                    sender.send(&job.task).await.expect("sent");
                    let received = receiver.recv().await.expect("received");
                    received.commit().expect("committed");
                });
            }),
            Variant::new(
                "three bare commits of SQLite, with disk waits",
                JOBS,
                || {
                    for status in ["queued", "running", "success"] {
                        bare.execute("INSERT INTO job (status) VALUES (?1)", [status])
                            .expect("a row");
                    }
                },
            ),
            Variant::new("the job book: add, claim, finish", JOBS, || {
                let (run, now) = (run_id(), "2025-12-15T04:08:08Z".parse().expect("a time"));
                book.add_shared(&job, &run, now).expect("a job");
                let claimed = book.claim_next(None, &run, now).expect("a claim");
                let id = claimed.expect("the job").id;
                book.finish(id, FinalStatus::Success, None, now)
                    .expect("an end");
            }),
            Variant::whole_round("spawn, work, a no-op worker with its files", JOBS, || {
                runtime.block_on(async {
                    for _ in 0..JOBS {
                        let spawned = supervisor.submit(job.clone(), RunBy::Takers).await;
                        spawned.expect("a job");
                    }
                    let drain = WorkOptions {
                        drain: true,
                        ..WorkOptions::default()
                    };
                    supervisor.work(drain).await.expect("they are run");
                });
            }),
        ],
    );
}

fn by_length(dir: &Path) {
    const PEER: &str = "claim the next of 10";
    let (few, many) = (
        book(&dir.join("few.sqlite")),
        book(&dir.join("many.sqlite")),
    );
    let now = "2025-12-15T04:08:08Z".parse().expect("a time");
    let add = |book: &JobBook, n: usize| {
        let owner = ["ann", "bob", "cem"][n % 3];
        let added = book.add_shared(&NewJob::new(owner, "calculate 7*6"), &run_id(), now);
        added.expect("a job");
    };
    (0..10).for_each(|n| add(&few, n));
    (0..MANY).for_each(|n| add(&many, n));
    let claim = |book: &JobBook| {
        let claimed = book.claim_next(None, &run_id(), now).expect("a claim");
        assert!(claimed.is_some(), "nothing waits");
    };
    compare(
        "claiming, by the length of the line",
        "the same at 10 and at 10,000",
        Some(PEER),
        // What was claimed is made up for outside the time.
        vec![
            Variant::prepared(PEER, JOBS, || add(&few, 0), |()| claim(&few)),
            Variant::prepared(
                "claim the next of 10,000",
                JOBS,
                || add(&many, 0),
                |()| {
                    claim(&many);
                },
            ),
        ],
    );
}

fn run_id() -> RunId {
    "0b5c9a52-1f4e-4d3a-9a3e-6f1f9d6f3b11".into()
}

fn book(path: &Path) -> JobBook {
    JobBook::open(path).expect("a job book")
}

fn bare(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE job (id INTEGER PRIMARY KEY, status TEXT)",
        )
        .expect("a table");
    connection
}
