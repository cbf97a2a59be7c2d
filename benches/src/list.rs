//! The newest 20 of 100,000 workers, with the index and without it, and what a worker more costs there.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use artifact_store::{ArtifactStore, Metadata, NewWorker, Status, WorkerFilter};
use metrics_core::Timestamp;
use rusqlite::Connection;

use crate::rounds::{Variant, compare};

const WORKERS: i64 = 100_000;
const NEWEST: usize = 20;
/// Changes with the data, so that older data is made anew.
const MADE: &str = "100000 workers, 2";

pub(crate) fn run() {
    let dir = dir();
    let data_dir = dir.join("workers");
    let peer_path = dir.join("peer.sqlite");
    make(&dir, &data_dir, &peer_path);
    let store = ArtifactStore::open(&data_dir).expect("a store");
    fill(&store);

    let expected = by_names(&data_dir);
    assert_eq!(expected.len(), NEWEST);
    assert_eq!(list(&store), expected, "with the index");
    let queried = by_query(&peer_path, parsed);
    assert_eq!(queried, expected, "the bare query");
    with_index(&data_dir, &store, &peer_path);
    assert_eq!(list(&without_index(&data_dir)), expected, "no index");
    without(&data_dir);
    one_more(&dir, &data_dir);
}

fn with_index(data_dir: &Path, store: &ArtifactStore, peer_path: &Path) {
    const PEER: &str = "open SQLite, run the bare query";
    compare(
        "the newest 20 of 100,000 workers",
        "list at most 2x the peer",
        Some(PEER),
        vec![
            Variant::new(PEER, 10, || {
                by_query(peer_path, str::to_owned);
            }),
            Variant::new("the same, with the rows parsed as list does", 10, || {
                by_query(peer_path, parsed);
            }),
            Variant::prepared(
                "list, the first of a store",
                10,
                || ArtifactStore::open(data_dir).expect("a store"),
                |store| {
                    list(store);
                },
            ),
            Variant::new("list, a later one", 10, || {
                list(store);
            }),
            Variant::new("open a store, list, close it", 10, || {
                list(&ArtifactStore::open(data_dir).expect("a store"));
            }),
        ],
    );
}

fn without(data_dir: &Path) {
    const PEER: &str = "read the names, read those 20 files";
    compare(
        "the same with the index deleted",
        "list at most 1.2x the peer",
        Some(PEER),
        vec![
            Variant::new(PEER, 1, || {
                by_names(data_dir);
            }),
            Variant::prepared(
                "list, the first of a store",
                1,
                || without_index(data_dir),
                |store| {
                    list(store);
                },
            ),
        ],
    );
}

fn one_more(dir: &Path, data_dir: &Path) {
    const PEER: &str = "with 10 there";
    let few = tempfile::tempdir_in(dir).expect("a temporary directory");
    let few = ArtifactStore::open(few.path()).expect("a store");
    for _ in 0..10 {
        worker(&few);
    }
    let many = ArtifactStore::open(data_dir).expect("a store");
    let one_more =
        |name, store| Variant::prepared(name, 50, Removed::default, move |it| it.0 = worker(store));
    compare(
        "create a worker, end it, close it",
        "the same cost with 100,000 there",
        Some(PEER),
        vec![one_more(PEER, &few), one_more("with 100,000 there", &many)],
    );
}

/// A directory that is removed once it was measured.
#[derive(Default)]
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("a worker's directory");
    }
}

/// Creates a worker and ends it.
fn worker(store: &ArtifactStore) -> PathBuf {
    let new = NewWorker::new("calculate 7*6");
    let worker = store.create_worker(new).expect("a worker");
    worker.write_result("The result is 42.").expect("a result");
    worker.finish_metrics(Duration::from_secs(2));
    let ended = worker.update(|it| it.status = Status::Success);
    ended.expect("metadata");
    worker.dir().to_owned()
}

fn list(store: &ArtifactStore) -> Vec<Metadata> {
    let newest = WorkerFilter {
        limit: Some(NEWEST),
        ..WorkerFilter::default()
    };
    store.list(&newest).expect("a list").workers
}

fn parsed(json: &str) -> Metadata {
    serde_json::from_str(json).expect("metadata")
}

fn by_query<T>(path: &Path, of_json: impl Fn(&str) -> T) -> Vec<T> {
    let connection = Connection::open(path).expect("a database");
    let mut statement = connection
        .prepare("SELECT json FROM worker ORDER BY created_at DESC LIMIT 20")
        .expect("a query");
    let rows = statement.query_map([], |row| Ok(of_json(row.get_ref(0)?.as_str()?)));
    let rows = rows.expect("rows").collect::<Result<_, _>>();
    rows.expect("rows")
}

fn by_names(data_dir: &Path) -> Vec<Metadata> {
    let names = fs::read_dir(data_dir).expect("the data directory");
    let mut names: Vec<_> = names.map(|it| it.expect("a name").file_name()).collect();
    names.sort_unstable();
    names
        .iter()
        .rev()
        .filter(|it| *it != ".triscope")
        .take(NEWEST)
        .map(|it| {
            let json = fs::read_to_string(data_dir.join(it).join("metadata.json"));
            parsed(&json.expect("metadata"))
        })
        .collect()
}

/// A store that must do without; the thread that makes the index anew ends with the store.
fn without_index(data_dir: &Path) -> ArtifactStore {
    let store = ArtifactStore::open(data_dir).expect("a store");
    let _ = fs::remove_file(store.own_dir().join("index.sqlite"));
    store
}

/// Waits until the index holds all workers.
fn fill(store: &ArtifactStore) {
    let index = store.own_dir().join("index.sqlite");
    let count = || -> rusqlite::Result<i64> {
        let sql = "SELECT count(*) FROM worker WHERE json IS NOT NULL";
        Connection::open(&index)?.query_row(sql, [], |row| row.get(0))
    };
    for _ in 0..1200 {
        list(store);
        if count() == Ok(WORKERS) {
            // One more finds it full and the names unchanged.
            thread::sleep(Duration::from_millis(100));
            list(store);
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    panic!("the index has {:?} workers", count());
}

/// On the disk that the program was built on, and kept for the next run.
fn dir() -> PathBuf {
    let program = env::current_exe().expect("the program's path");
    let target = program.ancestors().nth(2).expect("the target directory");
    target.join("bench-list")
}

/// Makes the workers, and the same rows for the peer.
fn make(dir: &Path, data_dir: &Path, peer_path: &Path) {
    let mark = dir.join("made");
    let n_there = fs::read_dir(data_dir).map_or(0, Iterator::count);
    let is_made = fs::read_to_string(&mark).is_ok_and(|it| it == MADE);
    if is_made && i64::try_from(n_there) == Ok(WORKERS + 1) {
        return;
    }
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(data_dir).expect("the directory");
    let template = template(dir);
    let mut peer = Connection::open(peer_path).expect("a database");
    let peer = peer.transaction().expect("a transaction");
    peer.execute_batch(
        "CREATE TABLE worker (id TEXT, created_at INTEGER, json TEXT);
         CREATE INDEX by_time ON worker (created_at DESC);",
    )
    .expect("a table");
    let mut insert = peer
        .prepare("INSERT INTO worker VALUES (?1, ?2, ?3)")
        .expect("a statement");
    let first: Timestamp = "2025-01-01T00:00:00.123456Z".parse().expect("a time");
    for n in 0..WORKERS {
        let created_at = first.plus_micros(n * 7_654_321);
        let stamp = created_at.to_string()[..19].replace(':', "-");
        let mut metadata = template.clone();
        metadata.worker_id = format!("{stamp}_calculate-{n}").into();
        metadata.task = format!("calculate {n}*6");
        metadata.status = if n % 10 == 0 {
            Status::Failed
        } else {
            Status::Success
        };
        metadata.created_at = created_at;
        let json = serde_json::to_string_pretty(&metadata).expect("metadata") + "\n";
        let worker = data_dir.join(metadata.worker_id.as_str());
        fs::create_dir(&worker).expect("a directory");
        fs::write(worker.join("metadata.json"), &json).expect("metadata");
        fs::write(worker.join("metrics.jsonl"), "").expect("metrics");
        insert
            .execute((metadata.worker_id.as_str(), created_at.unix_micros(), &json))
            .expect("a row");
    }
    drop(insert);
    peer.commit().expect("the rows");
    fs::create_dir(data_dir.join(".triscope")).expect("a directory");
    fs::write(mark, MADE).expect("a mark");
}

/// What the metadata of an ended worker looks like.
fn template(dir: &Path) -> Metadata {
    let temp = tempfile::tempdir_in(dir).expect("a temporary directory");
    let store = ArtifactStore::open(temp.path()).expect("a store");
    let new = NewWorker {
        config: serde_json::json!({"model": "gpt-5-mini", "timeout_seconds": 300}),
        job_id: Some(12_345),
        attempt: Some(1),
        ..NewWorker::new("calculate 7*6")
    };
    let worker = store.create_worker(new).expect("a worker");
    let mut metadata = worker.metadata();
    metadata.started_at = Some(metadata.created_at.plus_micros(300));
    metadata.finished_at = Some(metadata.created_at.plus_micros(98_300));
    metadata.duration_ms = Some(98);
    metadata.duration_us = Some(98_000);
    metadata.summary = Some("The result is 42.".to_owned());
    metadata.summary_meta = serde_json::json!({"source": "model", "duration_ms": 12});
    metadata.events = Some(4);
    metadata.events_lost = Some(0);
    metadata
}
