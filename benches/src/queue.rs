//! The queue: what a job costs from its spawning to its end, whether a long line makes claiming slower, what waiting costs.

use std::{convert::Infallible, env, path::Path, sync::Arc, time::Duration};

use artifact_store::ArtifactStore;
use rusqlite::Connection;
use rustix::time::ClockId;
use supervisor_tools::{
    DEFAULT_CONCURRENCY, FinalStatus, JobBook, NewJob, RunBy, RunId, Supervisor, WorkOptions,
};
use tokio::runtime::Runtime;
use worker_runner::{CancellationToken, WorkerRunner, agent_fn};

use crate::{
    overhead::cpu_time,
    rounds::{Variant, compare},
};

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
    idle(temp.path());
}

fn per_job(dir: &Path) {
    const PEER: &str = "yaque: send, receive, commit (no disk waits)";
    let runtime = Runtime::new().expect("a runtime");
    let supervisor = supervisor(&dir.join("workers"));
    let book = book(&dir.join("book.sqlite"));
    let bare = bare(&dir.join("bare.sqlite"));
    let (mut outgoing, mut incoming) = yaque::channel(dir.join("yaque")).expect("a queue");
    let job = NewJob::new("local", "calculate 7*6");
    compare(
        "a job of the queue, from its spawning to its end, ns (1e9 / ns = jobs a second)",
        "the book within 1.2x of three bare commits",
        Some(PEER),
        vec![
            Variant::new(PEER, JOBS, || {
                runtime.block_on(async {
                    outgoing.send(&job.task).await.expect("sent");
                    let received = incoming.recv().await.expect("received");
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

/// A process that takes jobs and finds none, and how soon it sees one.
fn idle(dir: &Path) {
    const WHILE: Duration = Duration::from_secs(5);
    const JOBS: usize = 40;
    let runtime = Runtime::new().expect("a runtime");
    let open = || supervisor(&dir.join("idle"));
    let (taker, other) = (open(), open());
    let (cpu, mut delays) = runtime.block_on(async {
        let stop = CancellationToken::new();
        let options = WorkOptions {
            stop: stop.clone(),
            ..WorkOptions::default()
        };
        let working = tokio::spawn(async move { taker.work(options).await });
        tokio::time::sleep(Duration::from_millis(500)).await;
        let before = cpu_time(ClockId::ProcessCPUTime);
        tokio::time::sleep(WHILE).await;
        let cpu = cpu_time(ClockId::ProcessCPUTime).saturating_sub(before);
        let mut delays = Vec::new();
        for n in 0..JOBS {
            // Not in step with the looks.
            tokio::time::sleep(Duration::from_millis(60 + (n as u64 * 37) % 50)).await;
            let job = NewJob::new("local", "calculate 7*6");
            let id = other.submit(job, RunBy::Takers).await.expect("a job");
            other
                .wait(id, Duration::from_mins(1))
                .await
                .expect("an end");
            let job = other
                .book()
                .get(id, None)
                .expect("a book")
                .expect("the job");
            let started = job.started_at.expect("it started").unix_micros();
            let delay = u64::try_from(started - job.created_at.unix_micros());
            delays.push(Duration::from_micros(delay.unwrap_or(0)));
        }
        stop.cancel();
        working.await.expect("no panic").expect("no fault");
        (cpu, delays)
    });
    delays.sort_unstable();
    println!(
        "\na process that takes jobs and finds none\n  target: below 1 % of a core; a new job is seen within 100 ms"
    );
    println!(
        "  {:.2} % of a core; from spawn to claim p50 {:?}, max {:?}",
        cpu.as_secs_f64() / WHILE.as_secs_f64() * 100.0,
        delays[JOBS / 2],
        delays[JOBS - 1]
    );
}

/// One whose workers do nothing.
fn supervisor(data_dir: &Path) -> Supervisor {
    let store = ArtifactStore::open(data_dir).expect("a store");
    let agent = agent_fn(|_| async { Ok::<_, Infallible>("") });
    let runner = WorkerRunner::new(store.clone(), Arc::new(agent));
    Supervisor::open(store, runner, DEFAULT_CONCURRENCY).expect("a supervisor")
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
